"""Removes logs of attempts that no row names any more."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from tuner.artifacts.places import JOBS, log_root
from tuner.artifacts.store import ArtifactStore
from tuner.db import Database, attempts, jobs
from tuner.workers import logs

log = logging.getLogger(__name__)

#: A log may be of an attempt that has just begun, or be read by somebody.
UNTOUCHED_FOR: Final = timedelta(days=1)


def collect_orphaned_logs(
    store: ArtifactStore, database: Database, host: Path, now: datetime
) -> int:
    """Remove what is left of the logs of attempts that are no more; of how many there was.

    A log's name does not say of which database its attempt is. It is of this one where this one
    has given out later numbers and knows every job that has files: else another may share the
    folder, and all logs stay.
    """
    found = logs.attempts_in(root := log_root(host))
    if not found:
        return 0
    strange = strange_jobs(store, database)
    with database.reading() as connection:
        known = set(connection.scalars(sa.select(attempts.c.id)))
    if strange or not known:
        return 0
    ours = (attempt for attempt in sorted(found - known) if attempt < max(known))
    old = [path for one in ours if _is_old(path := logs.path_of(root, one), now)]
    for path in old:
        logs.remove(path)
    if old:
        log.warning("orphaned logs were removed", extra={"logs": len(old)})
    return len(old)


def strange_jobs(store: ArtifactStore, database: Database) -> set[str]:
    """The jobs that have files and no row: another database may know them, and share the folder."""
    folders = {file.uri.split("/")[1] for file in store.files(JOBS)}
    with database.reading() as connection:
        return folders - set(connection.scalars(sa.select(jobs.c.ulid)))


def _is_old(path: Path, now: datetime) -> bool:
    written = datetime.fromtimestamp(logs.written_at(path), UTC)
    return written < now - UNTOUCHED_FOR
