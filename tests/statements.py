"""What a block of code asks the database, statement by statement."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from tuner import asking
from tuner.asking import _Question
from tuner.db import Database


@contextmanager
def before_each(database: Database, act: Callable[[str, Any], None]) -> Iterator[None]:
    """Call ``act(sql, parameters)`` before each statement; what it raises cuts the statement."""

    def listener(_: object, __: object, sql: str, parameters: Any, *rest: object) -> None:
        act(sql, parameters)

    sa.event.listen(database.engine, "before_cursor_execute", listener)
    try:
        yield
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", listener)


@contextmanager
def recorded(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """All statements of the block with their parameters, in order; also those asked directly."""
    statements: list[tuple[str, Any]] = []

    class Recorder(_Question):
        def values(self, parameters: Mapping[str, Any]) -> Any:
            values = super().values(parameters)
            statements.append((self.sql, values))
            return values

    with (
        patch.object(asking, "_prepared", Recorder),
        before_each(database, lambda sql, parameters: statements.append((sql, parameters))),
    ):
        yield statements
