"""Who may schedule: one process for each database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout

from tuner.db import Database
from tuner.errors import LeadershipTaken

#: Any number that nobody else is likely to lock in the same database.
ADVISORY_LOCK = 0x7475_6E65_72


@contextmanager
def leading(
    database: Database, *, patience_s: float, waiting: Callable[[], None]
) -> Iterator[None]:
    """Lead on this database for as long as the context lasts; released with the process, too.

    Args:
        patience_s: how long to wait for a turn; negative: for ever.
        waiting: called once, if another leads.

    Raises:
        LeadershipTaken: another still leads after `patience_s`.
    """
    if database.is_postgres:
        with _leading_on_postgres(database, patience_s, waiting):
            yield
    else:
        with _leading_on_sqlite(database, patience_s, waiting):
            yield


@contextmanager
def _leading_on_sqlite(
    database: Database, patience_s: float, waiting: Callable[[], None]
) -> Iterator[None]:
    lock = FileLock(f"{Path(str(database.url.database)).resolve()}.leader")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        try:
            lock.acquire(timeout=patience_s, poll_interval=0.2)
        except Timeout:
            raise LeadershipTaken(str(database.url.database)) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _leading_on_postgres(
    database: Database, patience_s: float, waiting: Callable[[], None]
) -> Iterator[None]:
    # A lock of the session: the server gives it up with the connection, however that ends.
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if not _try_lock(connection):
            waiting()
            _wait_for_lock(connection, patience_s, database)
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(ADVISORY_LOCK)))


def _try_lock(connection: sa.Connection) -> bool:
    return bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(ADVISORY_LOCK))))


def _wait_for_lock(connection: sa.Connection, patience_s: float, database: Database) -> None:
    timeout_ms = 0 if patience_s < 0 else max(1, int(patience_s * 1000))
    connection.exec_driver_sql(f"SET lock_timeout = {timeout_ms}")
    try:
        connection.execute(sa.select(sa.func.pg_advisory_lock(ADVISORY_LOCK)))
    except sa.exc.OperationalError:
        raise LeadershipTaken(database.url.render_as_string(hide_password=True)) from None
