"""What is read of a row that may be damaged: nothing is raised, whatever the row holds."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

#: A number that fits into an integer of either database.
_WHOLE: Final = r"^[0-9]{1,9}$"


class _IsJson(FunctionElement[bool]):
    """Whether a column of JSON holds any: SQLite takes every text, and its functions refuse it."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(_IsJson)
def _where_the_database_sees_to_it(element: _IsJson, compiler: SQLCompiler, **how: Any) -> str:
    return f"({compiler.process(element.clauses, **how)} IS NOT NULL)"


@compiles(_IsJson, "sqlite")
def _where_it_does_not(element: _IsJson, compiler: SQLCompiler, **how: Any) -> str:
    return f"json_valid({compiler.process(element.clauses, **how)})"


def text_of(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[str | None]:
    """The value of that name in a column of JSON, as text; NULL where there is none."""
    return sa.case((_IsJson(column), sa.cast(column[name].as_string(), sa.String)))


def whole_number_of(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[int | None]:
    """The value of that name in a column of JSON; NULL where it is no whole number."""
    text = text_of(column, name)
    # A CASE is evaluated in order, and so no cast is tried that would fail.
    return sa.case((text.regexp_match(_WHOLE), sa.cast(text, sa.Integer)))
