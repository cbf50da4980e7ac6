"""Who may schedule: one process for each database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

import sqlalchemy as sa
from filelock import FileLock, Timeout

from tuner.db import Database
from tuner.errors import LeadershipTaken

#: Any number that nobody else is likely to lock in the same database.
ADVISORY_LOCK: Final = 0x7475_6E65_72
POLL_S: Final = 0.2


class Leadership(Protocol):
    """The right to schedule, while one has it."""

    def confirm(self) -> None:
        """Make sure that it is still ours, as far as the database can be asked.

        Raises:
            LeadershipTaken: another leads by now.
        """


@contextmanager
def leading(
    database: Database, *, patience_s: float, waiting: Callable[[], None]
) -> Iterator[Leadership]:
    """Lead on this database for as long as the context lasts; released with the process, too.

    Args:
        patience_s: how long to wait for a turn; negative: for ever.
        waiting: called once, if another leads.

    Raises:
        LeadershipTaken: another still leads after `patience_s`.
    """
    lead = _on_postgres if database.is_postgres else _on_sqlite
    with lead(database, patience_s, waiting) as leadership:
        yield leadership


class _FileLeadership:
    """A lock the kernel holds for as long as the process lives: it cannot be lost."""

    def confirm(self) -> None:
        """It is ours."""


@contextmanager
def _on_sqlite(
    database: Database, patience_s: float, waiting: Callable[[], None]
) -> Iterator[Leadership]:
    lock = FileLock(f"{Path(str(database.url.database)).resolve()}.leader")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        try:
            lock.acquire(timeout=patience_s, poll_interval=POLL_S)
        except Timeout:
            raise LeadershipTaken(str(database.url.database)) from None
    try:
        yield _FileLeadership()
    finally:
        lock.release()


class _SessionLeadership:
    """A lock of a database session: the server gives it up with the connection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._connection = self._engine.connect()

    def acquire(self, patience_s: float) -> bool:
        """Lock, waiting for as long; negative: for ever, 0: not at all."""
        if patience_s == 0:
            return bool(
                self._connection.scalar(sa.select(sa.func.pg_try_advisory_lock(ADVISORY_LOCK)))
            )
        limit_ms = 0 if patience_s < 0 else max(1, int(patience_s * 1000))
        self._connection.exec_driver_sql(f"SET lock_timeout = {limit_ms}")
        try:
            self._connection.execute(sa.select(sa.func.pg_advisory_lock(ADVISORY_LOCK)))
        except sa.exc.OperationalError:
            return False
        return True

    def confirm(self) -> None:
        """Ask over the connection that holds the lock; where it is gone, lock again over another.

        While the database cannot be reached, nobody can take the lock, and nobody can write.
        """
        try:
            self._connection.execute(sa.select(1))
        except (sa.exc.DBAPIError, sa.exc.ResourceClosedError):
            self.release()
            with suppress(sa.exc.DBAPIError):
                self._connection = self._engine.connect()
                if not self.acquire(0):
                    raise LeadershipTaken(_name(self._database)) from None

    def release(self) -> None:
        """End the session, and with it the lock."""
        if not self._connection.closed:
            self._connection.invalidate()
            self._connection.close()


@contextmanager
def _on_postgres(
    database: Database, patience_s: float, waiting: Callable[[], None]
) -> Iterator[Leadership]:
    leadership = _SessionLeadership(database)
    try:
        if not leadership.acquire(0):
            waiting()
            if not leadership.acquire(patience_s):
                raise LeadershipTaken(_name(database))
        yield leadership
    finally:
        leadership.release()


def _name(database: Database) -> str:
    return database.url.render_as_string(hide_password=True)
