"""Removes files that no row names any more, and measures what the others take."""

import logging
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

from tuner.artifacts.places import (
    JOBS,
    converted_folder,
    in_folder,
    job_folder,
    log_root,
    trial_folder,
    trial_of,
)
from tuner.artifacts.store import ArtifactStore
from tuner.db import Database
from tuner.errors import TunerError
from tuner.foreign.folders import CodeFolders
from tuner.leader.disk_watch import DiskWatch
from tuner.leader.orphaned_code import collect_orphaned_code
from tuner.leader.orphaned_logs import collect_orphaned_logs
from tuner.leader.trial_folders import collect_orphaned_folders, remove_folder
from tuner.scheduler.commands import RecordCheckpoint
from tuner.settings import Settings
from tuner.store import replay
from tuner.store.replay import Retired
from tuner.workers import logs

log = logging.getLogger(__name__)

#: Between two searches for orphans; the first is at the start, after whatever came before.
COLLECT_EVERY: Final = timedelta(hours=1)


class Housekeeping:
    """Keeps the artifact store as the rows have it. One thread calls it.

    What it does happens on one thread of its own, in order: the scheduler waits for no file
    system, and what is measured is measured after what was removed. What cannot be removed now is
    an orphan, and goes with the next search.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        store: ArtifactStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._settings = settings
        self._store = store
        self._clock = clock
        self._next_search = clock()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="files")
        self.disk_watch = DiskWatch(settings, store, clock, self._pool)

    def discard(self, record: RecordCheckpoint) -> None:
        """Remove the files that a checkpoint, which is on record now, has superseded."""
        # Only the trial's own: the names come from a worker, which may run foreign code.
        own = in_folder(trial_folder(record.job, record.number), record.superseded)
        if own:
            self._submit(self._store.delete, own)

    def give_up(self, job: str, retired: Retired) -> None:
        """Remove the files that the retention rule does not keep."""
        self._submit(self._give_up, job, retired)

    def clear(self, job: str, number: int) -> None:
        """Remove what a trial of foreign code, which has ended, kept for its next attempt."""
        self._submit(remove_folder, self._settings.trial_folders / job / str(number))

    def remove_job(self, job: str, attempts: Iterable[int]) -> "Future[bool]":
        """Remove all files of a job, and the logs of its attempts; in the end, whether it could."""
        return self._submit(self._remove_job, job, tuple(attempts))

    def look_for_orphans(self) -> None:
        """Begin a search where it is time for one."""
        if self._clock() >= self._next_search:
            self._next_search = self._clock() + COLLECT_EVERY
            self._submit(collect_orphans, self._store, self._database)
            of_logs = (self._store, self._database, self._settings.artifacts, self._clock())
            self._submit(collect_orphaned_logs, *of_logs)
            code = CodeFolders(self._settings.code)
            self._submit(collect_orphaned_code, self._store, self._database, code, self._clock())
            self._submit(collect_orphaned_folders, self._settings.trial_folders, self._database)

    def close(self) -> None:
        """Do what is still to be done, and end."""
        self._pool.shutdown()

    def _submit(self, do: Callable[..., object], *arguments: object) -> "Future[bool]":
        return self._pool.submit(_done, do, *arguments)

    def _give_up(self, job: str, retired: Retired) -> None:
        for number in retired.trials:
            self._store.delete_folder(trial_folder(job, number))
        owner = trial_of(retired.only or "")
        if owner is not None and owner[0] == job:
            folder = trial_folder(*owner)
            beside = in_folder(folder, (file.uri for file in self._store.files(folder)))
            self._store.delete(uri for uri in beside if uri != retired.only)

    def _remove_job(self, job: str, attempts: tuple[int, ...]) -> None:
        self._store.delete_folder(job_folder(job))
        remove_folder(self._settings.trial_folders / job)
        shutil.rmtree(converted_folder(self._settings.cache, job), ignore_errors=True)
        for attempt in attempts:
            logs.remove(logs.path_of(log_root(self._settings.artifacts), attempt))


def _done(do: Callable[..., object], *arguments: object) -> bool:
    try:
        do(*arguments)
    except (TunerError, OSError, ValueError) as error:
        log.warning("files were not removed", extra={"error": str(error)})
        return False
    except Exception:  # a fault of ours: what comes after it must be done nevertheless
        log.exception("files were not removed")
        return False
    return True


def collect_orphans(store: ArtifactStore, database: Database) -> int:
    """Remove the files of ended trials that no row names; how many there were.

    The files are listed first and the rows read after. A trial has its row before it has a file,
    and the row names a file before the trial ends: so nothing that is needed, or being written, is
    taken for an orphan. The folder of a job that has no row stays: another database may know it.
    """
    files: dict[str, list[tuple[int, str]]] = {}
    for file in store.files(JOBS):
        if (owner := trial_of(file.uri)) is not None:
            job, number = owner
            files.setdefault(job, []).append((number, file.uri))
    removed = 0
    for job, of_trials in files.items():
        with database.reading() as connection:
            known = replay.named_files(connection, job)
        if known is not None:
            orphans = [uri for number, uri in of_trials if not known.keeps(number, uri)]
            store.delete(orphans)
            removed += len(orphans)
    if removed:
        log.warning("orphaned files were removed", extra={"files": removed})
    return removed
