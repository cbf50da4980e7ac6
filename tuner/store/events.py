"""Events: those of one job in order, and all of them for who follows."""

from collections.abc import Sequence

import sqlalchemy as sa

from tuner.db import events, jobs
from tuner.store.rows import Row

_limit = sa.bindparam("limit", type_=sa.Integer)
_OF_JOB = (
    sa.select(events)
    .where(
        events.c.job_id
        == sa.select(jobs.c.id)
        .where(jobs.c.ulid == sa.bindparam("ulid", type_=sa.String))
        .scalar_subquery(),
        events.c.seq > sa.bindparam("after", type_=sa.BigInteger),
    )
    .order_by(events.c.seq)
    .limit(_limit)
)
_ALL = (
    sa.select(events, jobs.c.ulid)
    .join_from(events, jobs)
    .where(events.c.id > sa.bindparam("after", type_=sa.BigInteger))
    .order_by(events.c.id)
    .limit(_limit)
)
_NEWEST = sa.select(sa.func.max(events.c.id))


def events_of(connection: sa.Connection, ulid: str, after: int, limit: int) -> Sequence[Row]:
    """Up to `limit` events of the job whose `seq` is above `after`, in order."""
    return connection.execute(_OF_JOB, {"ulid": ulid, "after": after, "limit": limit}).all()


def events_after(connection: sa.Connection, after: int, limit: int) -> Sequence[Row]:
    """Up to `limit` events of all jobs whose `id` is above `after`, in order, with `ulid`.

    One scheduler writes them all in one transaction at a time: none appears behind `after` later.
    """
    return connection.execute(_ALL, {"after": after, "limit": limit}).all()


def newest_event(connection: sa.Connection) -> int:
    """The largest `id` of all events; 0 where there is none."""
    return connection.execute(_NEWEST).scalar_one() or 0
