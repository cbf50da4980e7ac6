"""Who leads: the row that says so, and that what a leader writes is conditional on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from tuner.db import leadership
from tuner.store.rows import Reader

#: The database's time of day; on PostgreSQL that of the transaction's begin.
_NOW: Final = sa.func.current_timestamp()
_LEADER = sa.select(
    leadership.c.holder, leadership.c.epoch, leadership.c.since, leadership.c.expires
).where(
    leadership.c.holder.is_not(None),
    sa.or_(leadership.c.expires.is_(None), leadership.c.expires > _NOW),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """The process that schedules on a database, in the database's time."""

    #: "host:pid".
    holder: str
    #: The how manieth leader it is.
    epoch: int
    since: datetime
    #: Until when, unless it is renewed. None on SQLite: there it leads until its process ends, and
    #: one that was killed stands in the row until another takes over.
    expires: datetime | None


def leader_of(reader: Reader) -> Leader | None:
    """Who leads; None where nobody does, or the leader has been silent for too long."""
    row = reader.execute(_LEADER, {}).one_or_none()
    if row is None:
        return None
    return Leader(holder=row.holder, epoch=row.epoch, since=row.since, expires=row.expires)
