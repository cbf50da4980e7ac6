"""The inline executor keeps the contract."""

from collections.abc import Iterator

import pytest

from tests.contracts.executor_contract import ExecutorContract
from tuner.executors.inline import InlineExecutor


@pytest.fixture
def executor() -> Iterator[InlineExecutor]:
    with InlineExecutor() as executor:
        yield executor


class TestInlineExecutor(ExecutorContract):
    """No process, no log: nothing beyond the contract."""
