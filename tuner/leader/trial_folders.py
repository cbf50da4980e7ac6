"""Removes what trials of foreign code kept for their next attempts, once there will be none."""

import logging
import shutil
from contextlib import suppress
from pathlib import Path

from tuner.db import Database
from tuner.store import replay

log = logging.getLogger(__name__)


def remove_folder(folder: Path) -> None:
    """Remove the folder, if it is there.

    Raises:
        OSError: something in it cannot be removed.
    """
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def collect_orphaned_folders(root: Path, database: Database) -> int:
    """Remove the folders of trials that have ended; how many there were.

    Folders are listed first and rows read after: a trial has its row before it has a folder. Those
    of a job that has no row stay: another database may know it.
    """
    found = [folder for folder in root.glob("*/*") if folder.name.isdecimal()]
    removed = 0
    for job in {folder.parent.name for folder in found}:
        with database.reading() as connection:
            known = replay.named_files(connection, job)
        if known is None:
            continue
        for folder in found:
            if folder.parent.name == job and int(folder.name) not in known.live:
                remove_folder(folder)
                removed += 1
    if removed:
        log.warning("folders of ended trials were removed", extra={"folders": removed})
    return removed
