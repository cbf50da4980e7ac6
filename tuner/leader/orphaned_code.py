"""Removes code that no job names any more."""

import logging
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from tuner.artifacts.store import ArtifactStore
from tuner.db import Database, jobs
from tuner.foreign.errors import CodeNotFound
from tuner.foreign.folders import CodeFolders
from tuner.leader.orphaned_logs import strange_jobs

log = logging.getLogger(__name__)

#: Code is uploaded before the job that names it, and may be for the next one, too.
UNUSED_FOR: Final = timedelta(days=7)


def collect_orphaned_code(
    store: ArtifactStore, database: Database, folders: CodeFolders, now: datetime
) -> int:
    """Remove the code that nobody sent or submitted lately and no job names; how much there was.

    Where the files of a job are that this database does not know, another may share the folder, and
    all code stays.
    """
    folders.remove_remains(now)
    old = [name for name in folders.names() if _is_old(folders, name, now)]
    if not old or strange_jobs(store, database):
        return 0
    removed = 0
    for name in old:
        if not _is_named(database, name):
            folders.remove(name)
            removed += 1
    if removed:
        log.warning("orphaned code was removed", extra={"folders": removed})
    return removed


def _is_old(folders: CodeFolders, name: str, now: datetime) -> bool:
    try:
        return folders.used_at(name) < now - UNUSED_FOR
    except CodeNotFound:  # removed meanwhile
        return False


def _is_named(database: Database, sha256: str) -> bool:
    # As text: a spec that is damaged, and cannot be read, still names its code.
    named = sa.cast(jobs.c.spec, sa.Text).contains(sha256)
    with database.reading() as connection:
        return bool(connection.scalar(sa.select(sa.exists().where(named))))
