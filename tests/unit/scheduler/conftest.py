"""The world most tests of the scheduler's core take place in."""

import pytest

from tests.unit.scheduler.world import World


@pytest.fixture
def world() -> World:
    """A host of two processors; a file whose tests need another has its own."""
    return World(cpus=2)
