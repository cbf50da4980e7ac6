"""What the doctor looks at in the database: what it is, its clock, who leads on it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tuner import schema
from tuner.artifacts.opening import open_store
from tuner.clock import utc_now
from tuner.columns import UtcDateTime
from tuner.db import Database
from tuner.engines import sqlite_facts
from tuner.invariants.check import Checkup, check_invariants
from tuner.serving.findings import Finding
from tuner.settings import Settings
from tuner.store.leadership import leader_of

#: Times of trials and events, which host and database each tell, are wrong by as much.
CLOCKS_APART: Final = timedelta(seconds=2)


def database(settings: Settings) -> Iterator[Finding]:
    """The database, its clock and its leader, without making one."""
    if not is_there(settings):
        detail = f"{_shown(settings)} is made by the first `tuner serve`"
        yield Finding(subject="database", status="ok", detail=detail)
        return
    with closing(Database(settings.url)) as opened:
        found = schema.current(opened)
        right = found == schema.HEAD
        yield Finding(
            subject="database",
            status="ok" if right else "warning",
            detail=f"{_shown(settings)}: {_facts(opened)}, schema {found or 'none'}",
            remedy="" if right else f"tuner db upgrade (to schema {schema.HEAD})",
        )
        yield _clock(opened)
        if right:
            yield _leader(opened)


def checkup(settings: Settings) -> Checkup | None:
    """The invariants, asserted on the database and its files; None where there is no database yet.

    Raises:
        SchemaMismatch: the database has another schema, or none.
        StoreUnavailable: it does not answer.
        ArtifactsUnavailable: the artifact store does not.
    """
    if not is_there(settings):
        return None
    with closing(Database(settings.url)) as opened:
        schema.check(opened)
        return check_invariants(opened, open_store(settings.artifact_root), settings.artifacts)


def is_there(settings: Settings) -> bool:
    """Whether there is a database to be opened: to open a SQLite file makes it."""
    where = make_url(settings.url)
    return where.get_backend_name() != "sqlite" or Path(where.database or "").exists()


def _shown(settings: Settings) -> str:
    return make_url(settings.url).render_as_string(hide_password=True)


def _facts(opened: Database) -> str:
    with opened.reading() as connection:
        if not opened.is_postgres:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
            return f"{sqlite_facts()}, journal mode {mode}"
        version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        return f"PostgreSQL {version}"


def _clock(opened: Database) -> Finding:
    if not opened.is_postgres:
        return Finding(subject="clock", status="ok", detail="the database has this host's")
    apart = _apart(opened)
    far = abs(apart) > CLOCKS_APART
    return Finding(
        subject="clock",
        status="warning" if far else "ok",
        detail=f"the database's is {apart.total_seconds():+.2f} s from this host's",
        remedy="Let both hosts set their clocks by one time server (NTP)." if far else "",
    )


def _apart(opened: Database) -> timedelta:
    """By how much the database's clock is ahead; its answer took half the way back."""
    now = sa.select(sa.func.clock_timestamp(type_=UtcDateTime))
    with opened.reading() as connection:
        connection.execute(now)
        before = utc_now()
        told = connection.execute(now).scalar_one()
        after = utc_now()
    return told - (before + (after - before) / 2)


def _leader(opened: Database) -> Finding:
    with opened.reading() as connection:
        leader = leader_of(connection)
    if leader is None:
        return Finding(subject="leader", status="ok", detail="no scheduler leads just now")
    detail = (
        f"{leader.holder} leads since {leader.since:%Y-%m-%d %H:%M:%S} UTC, epoch {leader.epoch}"
    )
    return Finding(subject="leader", status="ok", detail=detail)
