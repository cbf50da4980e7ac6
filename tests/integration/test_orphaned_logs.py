"""Logs of attempts that are no more go, and no others."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from tests.factories import NOON, insert_attempt, insert_job
from tuner.artifacts.folder import FolderStore
from tuner.artifacts.places import job_folder, log_root
from tuner.db import Database
from tuner.leader.housekeeping import Housekeeping
from tuner.leader.orphaned_logs import UNTOUCHED_FOR, collect_orphaned_logs
from tuner.settings import Settings

KNOWN, GONE, LATEST, NOT_YET = 3, 5, 8, 9
LONG_AGO = NOON - UNTOUCHED_FOR - timedelta(minutes=1)


@pytest.fixture
def root(database: Database, settings: Settings) -> Path:
    """A folder with logs of attempts this database has, has no more, and has not had."""
    job = insert_job(database)
    insert_attempt(database, job, None, id=KNOWN)
    insert_attempt(database, job, None, id=LATEST, ordinal=2)
    logs = log_root(settings.artifacts)
    logs.mkdir(parents=True)
    for name in (f"{KNOWN}.log", f"{GONE}.log", f"{NOT_YET}.log", "notes.log"):
        write(logs / name)
    return settings.artifacts


def write(log: Path, *, ago: timedelta = NOON - LONG_AGO) -> None:
    log.write_bytes(b"a line\n")
    written = (NOON - ago).timestamp()
    os.utime(log, (written, written))


def left(root: Path) -> set[str]:
    return {path.name for path in log_root(root).iterdir()}


def collect(database: Database, root: Path) -> int:
    return collect_orphaned_logs(FolderStore(root), database, root, NOON)


def test_what_is_left_of_a_log_goes_once_its_attempt_is_no_more(
    database: Database, root: Path
) -> None:
    write(log_root(root) / "6.log.000000000524288")  # its head is gone already
    write(log_root(root) / f"{GONE}.log.000000000524288")
    assert collect(database, root) == 2
    assert left(root) == {f"{KNOWN}.log", f"{NOT_YET}.log", "notes.log"}
    assert collect(database, root) == 0


def test_a_log_that_was_written_lately_stays(database: Database, root: Path) -> None:
    write(log_root(root) / f"{GONE}.log.000000000524288", ago=timedelta(hours=1))
    assert collect(database, root) == 0
    assert f"{GONE}.log" in left(root)


def test_where_another_database_may_share_the_folder_all_logs_stay(
    database: Database, root: Path
) -> None:
    FolderStore(root).put(f"{job_folder('job_elsewhere')}/trials/0/m", b"content")
    assert collect(database, root) == 0
    assert f"{GONE}.log" in left(root)


def test_a_database_that_knows_no_attempt_takes_no_log_for_its_own(
    database: Database, tmp_path: Path
) -> None:
    assert collect(database, tmp_path) == 0
    log_root(tmp_path).mkdir()
    write(log_root(tmp_path) / f"{GONE}.log")
    assert collect(database, tmp_path) == 0
    assert left(tmp_path) == {f"{GONE}.log"}


def test_housekeeping_looks_for_them(database: Database, root: Path, settings: Settings) -> None:
    housekeeping = Housekeeping(database, settings, FolderStore(root), lambda: NOON)
    housekeeping.look_for_orphans()
    housekeeping.close()
    assert f"{GONE}.log" not in left(root)
