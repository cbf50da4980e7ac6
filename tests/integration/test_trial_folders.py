"""What trials of foreign code keep goes when they have ended, and nothing else does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import NOON, StoredJob, insert_job, insert_trials
from tuner.artifacts.folder import FolderStore
from tuner.db import Database
from tuner.leader.housekeeping import Housekeeping
from tuner.leader.trial_folders import collect_orphaned_folders
from tuner.settings import Settings


@pytest.fixture
def housekeeping(sqlite_database: Database, settings: Settings) -> Iterator[Housekeeping]:
    store = FolderStore(settings.artifacts)
    found = Housekeeping(sqlite_database, settings, store, lambda: NOON)
    yield found
    found.close()


@pytest.fixture
def job(sqlite_database: Database) -> StoredJob:
    """A job with a trial of each state in which one may be found."""
    made = insert_job(sqlite_database)
    states = ["completed", "running", "queued", "pruned"]
    insert_trials(sqlite_database, made, [{"state": state} for state in states])
    return made


def keep(settings: Settings, job: str, *names: str) -> None:
    for name in names:
        file = settings.trial_folders / job / name / "checkpoints" / "newest.pt"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"weights")


def kept(settings: Settings) -> set[str]:
    root = settings.trial_folders
    return {str(Path(folder).relative_to(root)) for folder in root.glob("*/*")}


def test_the_folder_of_one_trial_goes_and_no_other(
    housekeeping: Housekeeping, settings: Settings
) -> None:
    keep(settings, "job_1", "0", "1", "10")
    housekeeping.clear("job_1", 1)
    housekeeping.clear("job_2", 1)  # which never had one
    housekeeping.close()
    assert kept(settings) == {"job_1/0", "job_1/10"}


def test_a_jobs_folders_go_with_it(housekeeping: Housekeeping, settings: Settings) -> None:
    keep(settings, "job_1", "0", "1")
    keep(settings, "job_2", "0")
    assert housekeeping.remove_job("job_1", []).result()
    assert kept(settings) == {"job_2/0"}
    assert not (settings.trial_folders / "job_1").exists()


def test_folders_of_ended_trials_are_orphans_and_those_of_unknown_jobs_are_not(
    sqlite_database: Database, settings: Settings, job: StoredJob
) -> None:
    keep(settings, job.ulid, "0", "1", "2", "3", "notes")
    keep(settings, "job_of_another_database", "0")
    assert collect_orphaned_folders(settings.trial_folders, sqlite_database) == 2
    others = {"job_of_another_database/0", f"{job.ulid}/notes"}
    assert kept(settings) == {f"{job.ulid}/1", f"{job.ulid}/2"} | others
    assert collect_orphaned_folders(settings.trial_folders, sqlite_database) == 0


def test_orphaned_folders_are_looked_for_with_all_others(
    housekeeping: Housekeeping, settings: Settings, job: StoredJob
) -> None:
    keep(settings, job.ulid, "0")
    housekeeping.look_for_orphans()
    housekeeping.close()
    assert kept(settings) == set()


def test_a_link_in_the_place_of_a_folder_is_not_followed(
    housekeeping: Housekeeping, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").write_text("somebody's")
    keep(settings, "job_1", "0")
    (settings.trial_folders / "job_1" / "1").symlink_to(tmp_path / "far")
    (settings.trial_folders / "job_1" / "0" / "link").symlink_to(tmp_path / "far")
    housekeeping.clear("job_1", 0)
    housekeeping.clear("job_1", 1)
    housekeeping.close()
    assert (tmp_path / "far" / "file").read_text() == "somebody's"
    assert kept(settings) == {"job_1/1"}
