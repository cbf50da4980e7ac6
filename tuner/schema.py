"""Bringing a database to the schema this version needs, and checking that it is there.

Alembic is imported only where a step has to be applied: the API checks with one small query.
"""

from typing import Final

import sqlalchemy as sa

from tuner.db import Database
from tuner.errors import SchemaMismatch

#: The newest step in `migrations/versions`.
HEAD: Final = "0005"
#: Ours alone: Optuna keeps its own version in ``alembic_version``, perhaps in the same database.
VERSION_TABLE: Final = "tuner_schema"
#: How long one who migrates a SQLite file waits for another: longer than any step takes.
PATIENCE_S: Final = 60.0
#: PostgreSQL's advisory lock that lets one process migrate at a time.
_LOCK: Final = 0x74756E6572

_VERSION = sa.table(VERSION_TABLE, sa.column("version_num", sa.String))


def current(db: Database) -> str | None:
    """The schema the database has; None where it has none yet.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    with db.reading() as connection:
        return _current(connection)


def check(db: Database) -> None:
    """Make sure that the database has the schema this version needs.

    Raises:
        SchemaMismatch: it has another one, or none.
        StoreUnavailable: the database does not answer.
    """
    found = current(db)
    if found != HEAD:
        raise SchemaMismatch(found, HEAD)


def upgrade(db: Database) -> None:
    """Bring the database to the schema this version needs, all of it or nothing.

    Any number of processes may do so at once: one migrates, the others wait for it. Does nothing,
    quickly, where nothing is to do.

    Raises:
        SchemaMismatch: a newer version of this program wrote the database.
        StoreUnavailable: the database does not answer.
    """
    if current(db) == HEAD:
        return
    # Importing takes longer than the steps do; it is done before others have to wait for them.
    from tuner.migrations import applying

    with db.writing() as connection:
        if db.is_postgres:
            # However long another takes.
            connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if (found := _current(connection)) != HEAD:
            applying.apply_steps(connection, found)


def _current(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar_one_or_none()
