"""Who leads: one row, which the leader renews, and which whatever it writes is conditional on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from tuner.db import leadership
from tuner.store.rows import Reader
from tuner.store.statements import insert_of

#: A leader that has not renewed for so long leads no more as soon as another wants to.
LEASE: Final = timedelta(seconds=10)
#: PostgreSQL ends a leader's transaction that is idle for so long: whoever is stopped within it
#: shall not keep the row, and with it the right to lead.
LONGEST_IDLE_MS: Final = 5000

_LEADER = sa.select(
    leadership.c.holder, leadership.c.epoch, leadership.c.since, leadership.c.expires
).where(
    leadership.c.holder.is_not(None),
    sa.or_(leadership.c.expires.is_(None), leadership.c.expires > sa.func.current_timestamp()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """The process that schedules on a database; times are the database's."""

    #: "host:pid".
    holder: str
    #: Counts the leaders there have been.
    epoch: int
    since: datetime
    #: Until when, unless it is renewed. None on SQLite: there it leads until its process ends, and
    #: one that was killed stands in the row until another leads.
    expires: datetime | None


def leader_of(reader: Reader) -> Leader | None:
    """Who leads; None where nobody does, or the leader has been silent for too long."""
    row = reader.execute(_LEADER, {}).one_or_none()
    if row is None:
        return None
    return Leader(holder=row.holder, epoch=row.epoch, since=row.since, expires=row.expires)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one who wants to lead sees of who does. A leader never looks the same for long."""

    epoch: int = 0
    expires: datetime | None = None
    #: Whether somebody has taken the right and not given it back.
    held: bool = False
    #: Whether the leader is connected, as far as the database knows; never on SQLite.
    connected: bool = False


def look(connection: sa.Connection) -> Sighting:
    """Who leads, or has led last."""
    row = connection.execute(_sight(connection.dialect.name)).one_or_none()
    if row is None:
        return Sighting()
    return Sighting(
        epoch=row.epoch,
        expires=row.expires,
        held=row.holder is not None,
        connected=bool(row.connected),
    )


def claim(connection: sa.Connection, seen: Sighting, holder: str) -> int | None:
    """Lead from now on, over this connection, if all is still as it was seen.

    Returns:
        The epoch, larger than all before; None where another was faster, or has renewed.
    """
    parameters = {"seen_epoch": seen.epoch, "seen_expires": seen.expires, "holder": holder}
    found = connection.execute(_claim(connection.dialect.name), parameters)
    epoch: int | None = found.scalar_one_or_none()
    return epoch


def expel(connection: sa.Connection) -> None:
    """End transactions of PostgreSQL's that are conditional on a leader who is silent.

    A leader that is stopped amid a pipeline of statements is not idle to the server, which waits
    for the rest of them for ever, and for as long keeps the row from whoever claims it.
    """
    connection.execute(_EXPEL)


def renew(connection: sa.Connection, epoch: int) -> bool:
    """Lead on, over this connection of PostgreSQL's; whether the epoch is still the leader's."""
    return connection.execute(_RENEW, {"leaders": epoch}).rowcount == 1


def step_down(connection: sa.Connection, epoch: int) -> None:
    """Give the right back; no fault where it is another's already."""
    connection.execute(_STEP_DOWN, {"leaders": epoch})


def hold(connection: sa.Connection, epoch: int) -> bool:
    """Whether the epoch is the leader's, and remains it until the transaction ends."""
    parameters = {"leaders": epoch, "longest_idle": f"{LONGEST_IDLE_MS}ms"}
    found = connection.execute(_hold(connection.dialect.name), parameters)
    return found.first() is not None


#: Only `hold` locks rows of this table without changing them.
_EXPEL: Final = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = 'leadership'::regclass "
    "AND mode = 'RowShareLock' AND pid <> pg_backend_pid()"
)
_OF_EPOCH: Final = leadership.c.epoch == sa.bindparam("leaders", type_=sa.Integer)
_CLOCK: Final = sa.func.clock_timestamp(type_=sa.DateTime(timezone=True))
_LEASED: Final = {
    "expires": _CLOCK + sa.literal(LEASE, sa.Interval),
    "backend": sa.func.pg_backend_pid(type_=sa.Integer),
}
_NOT_LEASED: Final = {"expires": None, "backend": None}
_RENEW: Final = sa.update(leadership).where(_OF_EPOCH).values(**_LEASED)
_STEP_DOWN: Final = sa.update(leadership).where(_OF_EPOCH).values(holder=None, **_NOT_LEASED)


@cache
def _sight(dialect: str) -> sa.Select[Any]:
    connected: sa.ColumnElement[bool] = sa.false()
    if dialect == "postgresql":
        pid = sa.column("pid", sa.Integer)
        served = sa.select(pid).select_from(sa.table("pg_stat_activity", pid))
        connected = served.where(pid == leadership.c.backend).exists()
    return sa.select(leadership, connected.label("connected"))


@cache
def _claim(dialect: str) -> Any:
    """The first leader's row, or the next one's in its place: one statement, which one wins."""
    postgres = dialect == "postgresql"
    taken = {
        "holder": sa.bindparam("holder", type_=sa.String),
        "since": _CLOCK if postgres else sa.func.current_timestamp(),
        **(_LEASED if postgres else _NOT_LEASED),
    }
    seen_epoch = sa.bindparam("seen_epoch", type_=sa.Integer)
    seen_expires = sa.bindparam("seen_expires", type_=leadership.c.expires.type)
    return (
        insert_of(dialect)(leadership)
        .values(id=1, epoch=1, **taken)
        .on_conflict_do_update(
            index_elements=[leadership.c.id],
            set_={"epoch": leadership.c.epoch + 1, **taken},
            where=sa.and_(
                leadership.c.epoch == seen_epoch,
                leadership.c.expires.is_not_distinct_from(seen_expires),
            ),
        )
        .returning(leadership.c.epoch)
    )


@cache
def _hold(dialect: str) -> sa.Select[Any]:
    """On SQLite the transaction has locked the file; elsewhere, lock the row, lest it change."""
    if dialect != "postgresql":
        return sa.select(leadership.c.epoch).where(_OF_EPOCH)
    limit = sa.func.set_config(
        "idle_in_transaction_session_timeout", sa.bindparam("longest_idle", type_=sa.String), True
    )
    kept = sa.select(leadership.c.epoch, limit).where(_OF_EPOCH)
    return kept.with_for_update(read=True, key_share=True)
