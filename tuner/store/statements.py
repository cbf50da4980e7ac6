"""What several queries share: guarded transitions, upserts, and data any database can store."""

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tuner.errors import TransitionRefused


def transition(table: sa.Table, allowed: Iterable[str]) -> sa.Update:
    """An update of the row `key` if it is in an allowed state; its other parameters are set.

    To be made once and executed often: SQLAlchemy makes a statement in the time it executes two.
    """
    return sa.update(table).where(
        table.c.id == sa.bindparam("key"), table.c.state.in_(sorted(allowed))
    )


def guarded(
    connection: sa.Connection,
    statement: sa.Update | sa.Delete,
    parameters: Mapping[str, Any],
    subject: str,
    target: str,
) -> None:
    """Execute a transition of one row, whose WHERE names the states it is allowed from.

    Raises:
        TransitionRefused: the row is in none of them.
    """
    if connection.execute(statement, parameters).rowcount != 1:
        raise refused(subject, target)


def refused(subject: str, target: str) -> TransitionRefused:
    """That a row is in no state from which it may become `target`."""
    return TransitionRefused(subject, "in another state than the scheduler knows", str(target))


def upsert(
    connection: sa.Connection, table: sa.Table, keys: Mapping[str, Any], changes: Mapping[str, Any]
) -> None:
    """Insert the row, or change it where `keys` name one already."""
    insert = insert_of(connection.dialect.name)(table).values({**keys, **changes})
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=list(keys), set_={name: insert.excluded[name] for name in changes}
        )
    )


def insert_of(dialect: str) -> Any:
    """The dialect's own INSERT, which has ON CONFLICT; both databases word it alike."""
    return postgresql.insert if dialect == "postgresql" else sqlite.insert


def finite(value: float | None) -> float | None:
    """`value`, or None for what JSON and comparisons cannot carry."""
    return value if value is not None and math.isfinite(value) else None


def clean(text: str | None) -> str | None:
    """`text` without what PostgreSQL cannot store: NUL and lone surrogates."""
    if text is None:
        return None
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def plain(data: Any) -> Any:
    """`data` as JSON any database stores: finite numbers, clean text, times as ISO 8601."""
    if isinstance(data, Mapping):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    if isinstance(data, float):
        return finite(data)
    if isinstance(data, datetime):
        return data.isoformat()
    return clean(data) if isinstance(data, str) else data
