"""Trials of a job: one by its number, the best, and pages of them in four orders.

Every query walks an index from where it begins to where it ends, so that its cost depends on the
rows it returns and not on the trials there are.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from tuner.db import jobs, metrics, trials
from tuner.states import Direction, TrialState
from tuner.store.rows import Reader, Row

#: Larger than any trial's number, and the largest that the column can be compared to.
NUMBER_LIMIT: Final = 2**31 - 1

_COLUMNS: Final = tuple(
    c for c in trials.c if c.name not in ("job_id", "system_attrs", "counted", "checkpoint_uri")
)
#: The names of what `page_of_trials`, `best_trials` and `trial` answer, in order.
FIELDS: Final = tuple(str(c.name) for c in _COLUMNS)
_of_job = (
    trials.c.job_id
    == (
        sa.select(jobs.c.id).where(jobs.c.ulid == sa.bindparam("ulid", type_=sa.String))
    ).scalar_subquery()
)
_limit = sa.bindparam("limit", type_=sa.Integer)


class TrialOrder(StrEnum):
    """How trials are listed. By value are only those that have one: completed and pruned."""

    NUMBER = "number"
    NUMBER_DOWN = "-number"
    VALUE = "value"
    VALUE_DOWN = "-value"

    @property
    def by_value(self) -> bool:
        """Whether the value decides, and the number only between equals."""
        return self in (TrialOrder.VALUE, TrialOrder.VALUE_DOWN)

    @property
    def descending(self) -> bool:
        """Whether large comes first; then equal values too are listed from the last number."""
        return self in (TrialOrder.NUMBER_DOWN, TrialOrder.VALUE_DOWN)

    @property
    def start(self) -> tuple[float, int]:
        """The place before the first trial."""
        return (math.inf, NUMBER_LIMIT) if self.descending else (-math.inf, -1)


_ONE = (
    sa.select(*_COLUMNS)
    .join_from(trials, jobs)
    .where(
        jobs.c.ulid == sa.bindparam("ulid", type_=sa.String),
        trials.c.number == sa.bindparam("number", type_=sa.Integer),
    )
)
_COMPLETED = sa.select(*_COLUMNS).where(_of_job, trials.c.state == TrialState.COMPLETED)
_TIED = (
    _COMPLETED.where(trials.c.value == sa.bindparam("value", type_=sa.Float))
    .order_by(trials.c.number)
    .limit(_limit)
)
_values = sa.select(trials.c.value).where(_of_job, trials.c.state == TrialState.COMPLETED)
_ONE_BEST: Final = {
    direction: _COMPLETED.where(
        trials.c.value == _values.with_only_columns(extreme(trials.c.value)).scalar_subquery()
    )
    .order_by(trials.c.number)
    .limit(1)
    for direction, extreme in ((Direction.MAXIMIZE, sa.func.max), (Direction.MINIMIZE, sa.func.min))
}
_ALL_VALUES = (
    sa.select(trials.c.number, trials.c["values"].label("values_told"))
    .where(_of_job, trials.c.state == TrialState.COMPLETED)
    .order_by(trials.c.number)
)
_CURVES = (
    sa.select(metrics.c.step, metrics.c.at, metrics.c["values"].label("measured"))
    .where(metrics.c.trial_id == sa.bindparam("trial", type_=sa.BigInteger))
    .order_by(metrics.c.step)
)
_SINCE = sa.select(sa.func.count()).select_from(
    sa.select(trials.c.id)
    .where(
        _of_job,
        trials.c.state.in_([TrialState.COMPLETED, TrialState.PRUNED]),
        trials.c.number > sa.bindparam("number", type_=sa.Integer),
    )
    .order_by(trials.c.number)
    .limit(_limit)
    .subquery()
)


@cache
def _page(order: TrialOrder, *, filtered: bool) -> sa.Select[Any]:
    keys = [trials.c.value, trials.c.number] if order.by_value else [trials.c.number]
    binds = [sa.bindparam("value", type_=sa.Float), sa.bindparam("number", type_=sa.Integer)]
    here, there = sa.tuple_(*keys), sa.tuple_(*binds[-len(keys) :])
    beyond = here < there if order.descending else here > there
    statement = sa.select(*_COLUMNS).where(_of_job, beyond)
    if filtered:
        statement = statement.where(trials.c.state == sa.bindparam("state", type_=sa.String))
    sorting = [key.desc() if order.descending else key.asc() for key in keys]
    return statement.order_by(*sorting).limit(_limit)


def page_of_trials(
    connection: Reader,
    ulid: str,
    *,
    state: TrialState | None,
    order: TrialOrder,
    after: tuple[float, int],
    limit: int,
) -> Sequence[Row]:
    """Up to `limit` trials that come after the place ``(value, number)`` in this order.

    `order.start` is the place before the first. Ordered by value, only trials that have a value
    are listed: the completed and the pruned.
    """
    value, number = after
    parameters: dict[str, Any] = {"ulid": ulid, "number": number, "limit": limit}
    if order.by_value:
        parameters["value"] = value
    if state is not None:
        parameters["state"] = state
    statement = _page(order, filtered=state is not None)
    return connection.execute(statement, parameters).all()


def best_trials(connection: Reader, ulid: str, direction: Direction, k: int) -> Sequence[Row]:
    """The `k` best completed trials, best first; of equals those with lower numbers."""
    if k == 1:
        return connection.execute(_ONE_BEST[direction], {"ulid": ulid}).all()
    down = direction is Direction.MAXIMIZE
    order = TrialOrder.VALUE_DOWN if down else TrialOrder.VALUE
    found = page_of_trials(
        connection, ulid, state=TrialState.COMPLETED, order=order, after=order.start, limit=k
    )
    return _with_low_numbers(connection, ulid, found) if down and found else found


def _with_low_numbers(connection: Reader, ulid: str, found: Sequence[Row]) -> Sequence[Row]:
    """`found`, walked downwards, with equals in ascending order of their numbers.

    The index read backwards gives equals from their last number, and the last value's equals may
    go on beyond `found`; they are read again from their first number.
    """
    worst = found[-1].value
    better = sorted((r for r in found if r.value != worst), key=lambda r: (-r.value, r.number))
    parameters = {"ulid": ulid, "value": worst, "limit": len(found) - len(better)}
    return [*better, *connection.execute(_TIED, parameters).all()]


def completed_values(connection: Reader, ulid: str) -> Sequence[Row]:
    """`number` and `values_told` of all completed trials, by number."""
    return connection.execute(_ALL_VALUES, {"ulid": ulid}).all()


def trials_of_numbers(connection: Reader, ulid: str, numbers: Sequence[int]) -> list[Row]:
    """The job's trials of these numbers, in this order."""
    found = (trial(connection, ulid, number) for number in numbers)
    return [row for row in found if row is not None]


def trial(connection: Reader, ulid: str, number: int) -> Row | None:
    """The job's trial of this number."""
    if not 0 <= number <= NUMBER_LIMIT:
        return None
    return connection.execute(_ONE, {"ulid": ulid, "number": number}).one_or_none()


def curves(connection: sa.Connection, trial: int) -> Sequence[Row]:
    """`step`, `at` and `measured` of each step of the trial with this id, in order."""
    return connection.execute(_CURVES, {"trial": trial}).all()


def ended_after(connection: sa.Connection, ulid: str, number: int, limit: int) -> int:
    """How many trials after `number` have a value, counted up to `limit`."""
    parameters = {"ulid": ulid, "number": number, "limit": limit}
    return connection.execute(_SINCE, parameters).scalar_one()
