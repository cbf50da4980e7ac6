"""How connections to the two kinds of database are made, and what their failures mean."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.pool import ConnectionPoolEntry

from tuner.errors import StoreUnavailable

try:  # a SQLite of its own, newer than most systems'
    from pysqlite3 import dbapi2 as sqlite3
except ImportError:
    import sqlite3

#: PostgreSQL's codes for a table and a column that are not there; SQLite's error is operational.
_OTHER_SCHEMA: Final = ("42P01", "42703")

#: A connection whose other end says nothing is dropped after `IDLE + COUNT × INTERVAL` seconds, by
#: us as by the server: until then it would hold what a transaction had locked.
_KEEPALIVES: Final = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def postgres_engine(url: str, patience_s: float, **options: Any) -> sa.Engine:
    """Connections to a PostgreSQL server, in UTC, that wait for others' locks for so long."""
    address = make_url(url).set(drivername="postgresql+psycopg")
    session = {"timezone": "UTC", "lock_timeout": f"{round(patience_s * 1000)}ms"}
    session |= {f"tcp_{name}": str(value) for name, value in _KEEPALIVES.items()}
    engine = sa.create_engine(
        address,
        pool_size=10,
        max_overflow=20,
        pool_pre_ping=False,
        connect_args={
            "connect_timeout": 5,
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            **_KEEPALIVES,
        },
        **options,
    )
    _close_what_comes_back_late(engine)
    return engine


def _close_what_comes_back_late(engine: sa.Engine) -> None:
    """Close a connection that was in use while its engine was disposed of, once it is given back.

    It would go to a pool that nobody has any more, and stay open until a collection finds it.
    """

    def remember(connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["pool"] = engine.pool

    def close(connection: Any, record: ConnectionPoolEntry) -> None:
        if connection is not None and record.info.get("pool") is not engine.pool:
            record.invalidate()

    sa.event.listen(engine, "connect", remember)
    sa.event.listen(engine, "checkin", close)


def postgres_asking_engine(url: str, patience_s: float) -> sa.Engine:
    """Connections of their own for single questions, in autocommit."""
    # Of its own for the JSON: what the sampler notes has numbers that are too large for orjson.
    return postgres_engine(
        url,
        patience_s,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        json_deserializer=orjson.loads,
    )


def sqlite_engine(url: str, patience_s: float) -> sa.Engine:
    """Connections to a SQLite file, whose folder is made; in autocommit outside transactions.

    They wait for others' locks for `patience_s`.
    """
    database = make_url(url).database
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        url,
        module=sqlite3,
        connect_args={"timeout": patience_s, "check_same_thread": False},
        json_serializer=None,
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    # The driver would begin transactions late and in its own way; `_begin_sqlite` does it.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # The busy timeout does not hold for a change of the mode. Whoever uses the file just now keeps
    # its mode, which all connections share, and a later connection changes it.
    with suppress(sqlite3.OperationalError):
        connection.execute(f"PRAGMA journal_mode = {journal_mode(sqlite3.sqlite_version_info)}")
    connection.execute("PRAGMA synchronous = FULL")


def sqlite_facts() -> str:
    """Which SQLite is used."""
    return f"SQLite {sqlite3.sqlite_version}"


def journal_mode(version: tuple[int, int, int]) -> str:
    """WAL where the library has no known corruption race with it, else the rollback journal.

    The race was mended in SQLite 3.51.3 and in the backports 3.44.6 and 3.50.7.
    """
    mended = version >= (3, 51, 3) or any(
        version[:2] == branch and version[2] >= patch
        for branch, patch in {(3, 44): 6, (3, 50): 7}.items()
    )
    return "WAL" if mended else "DELETE"


def _begin_sqlite(connection: sa.Connection) -> None:
    # A deferred transaction that reads and then writes fails with SQLITE_BUSY where another wrote
    # in between, and no timeout helps; taking the write lock at the start waits instead.
    writes = connection.get_execution_options().get("tuner_writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def answering() -> Iterator[None]:
    """What drivers raise, as what it means to whoever asked.

    Raises:
        StoreUnavailable: the database does not answer, or has other tables.
    """
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
        raise unavailable(error) from error
    except sa.exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) not in _OTHER_SCHEMA:
            raise
        raise StoreUnavailable(f"its schema is of another version: {error.orig}") from error
    except sa.exc.DBAPIError as error:
        # However the server words it: PostgreSQL has a class of its own for one who was idle.
        if not error.connection_invalidated:
            raise
        raise unavailable(error) from error


def unavailable(error: sa.exc.SQLAlchemyError) -> StoreUnavailable:
    """In the driver's words, where it has some."""
    return StoreUnavailable(str(getattr(error, "orig", None) or error))
