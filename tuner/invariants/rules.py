"""Rules about rows, each a condition that no row may meet; a table of them is one query."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from tuner.columns import UtcDateTime
from tuner.invariants.breach import Breach
from tuner.scheduler.endings import GRACE

#: Where rows contradict each other and none of them says which is right.
RESTORE: Final = (
    "Stop the service and restore the last backup, or give the job up: "
    "tuner cancel {job}, then tuner delete {job}."
)
#: After so long without a beat a scheduler is gone, and its workers with it.
DETECTION: Final = timedelta(seconds=30)
#: How long attempts may still be ending after a PATCH that allows fewer at once.
SETTLING: Final = GRACE + timedelta(seconds=30)

#: A scheduler that has not been heard since then is gone.
HEARD_SINCE: Final = sa.bindparam("heard_since", type_=UtcDateTime)
#: What a PATCH before then changed has been done.
SETTLED_BY: Final = sa.bindparam("settled_by", type_=UtcDateTime)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What no row may be. Detail and remedy name the row's columns in braces."""

    invariant: str
    wrong: sa.ColumnElement[bool]
    detail: str
    remedy: str = RESTORE


def breaches(
    connection: sa.Connection, query: sa.Select[Any], rules: Sequence[Rule], now: datetime
) -> Iterator[Breach]:
    """Where rows of `query` break rules; its columns `job`, `trial` and `attempt` say which."""
    marks = [rule.wrong.label(f"rule_{place}") for place, rule in enumerate(rules)]
    broken = query.add_columns(*marks).where(sa.or_(*(rule.wrong for rule in rules)))
    times = {"heard_since": now - DETECTION, "settled_by": now - SETTLING}
    named = {name: time for name, time in times.items() if name in broken.compile().params}
    for row in connection.execute(broken, named).mappings():
        for mark, rule in zip(marks, rules, strict=True):
            if row[mark.name]:
                yield Breach(
                    invariant=rule.invariant,
                    detail=rule.detail.format_map(row),
                    remedy=rule.remedy.format_map(_in_sql(row)),
                    job=row["job"],
                    trial=row.get("trial"),
                    attempt=row.get("attempt"),
                )


def _in_sql(row: sa.RowMapping) -> dict[str, Any]:
    return {name: "NULL" if value is None else value for name, value in row.items()}


def times(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    """How many rows of a group meet the condition."""
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)
