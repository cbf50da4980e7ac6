"""Faults put to checkpoints: no room, a crash amid a write, files that nobody needs any more."""

import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.training.checkpoint import load_checkpoint
from tests.checkpoints import FOLDER, Ear, context_for, job_at, make_epoch
from tests.factories import insert_job, insert_trials
from tests.faults.counting import Counts
from tuner.artifacts.folder import FolderStore
from tuner.artifacts.places import trial_folder
from tuner.db import Database
from tuner.leader.housekeeping import collect_orphans
from tuner.states import Reason
from tuner.trial_files import Best, Files
from tuner.workers.conduct import reason_of

Rounds = Callable[[int, int], int]
ROOM_BYTES = 2 * 1024**2
#: A checkpoint of so many numbers does not fit.
TOO_MANY = ROOM_BYTES // 4


@contextmanager
def scarce(folder: Path) -> Iterator[None]:
    """A disk of 2 MiB at `folder`, where mounting is allowed; else files of 1 MiB at most."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES // 2, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def save(address: Path, step: int, values: int) -> None:
    with Files(job_at(str(address)), context_for(Ear(), address)) as files:
        files.save(make_epoch(step, values=values), Best())


def test_on_a_full_disk_the_last_good_checkpoint_stays_and_loads(
    rounds: Rounds, tmp_path: Path, counted: Counts
) -> None:
    place, fault = tmp_path / "disk", "a disk of 2 MB that is full amid a checkpoint"
    with counted(fault, "a folder") as count, scarce(place):
        save(place, 1, values=1000)
        for step in range(2, 2 + rounds(10, 100)):
            with pytest.raises(OSError, match=r"No space left|File too large") as caught:
                save(place, step, values=TOO_MANY)
            assert reason_of(caught.value) is Reason.DISK_FULL
            newest = Files(job_at(str(place)), context_for(Ear(), place)).newest()
            count.add(1, last_good_one_loaded=newest is not None and newest.epoch == 1)
            assert [file.name for file in (place / FOLDER).iterdir()] == [
                "epoch-000001.safetensors"
            ]
        assert count.found["last_good_one_loaded"] == rounds(10, 100)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_fails_only_as_it_reaches_the_disk_leaves_the_last_good_one(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, values=10)

    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space left"):
            save(tmp_path, 2, values=10)
    names = [path.name for path in (tmp_path / FOLDER).iterdir()]
    assert names == ["epoch-000001.safetensors"]
    assert load_checkpoint(tmp_path / FOLDER / names[0]).epoch == 1


def test_what_a_crash_left_half_written_goes_with_the_next_attempt(tmp_path: Path) -> None:
    save(tmp_path, 1, values=10)
    half = tmp_path / FOLDER / ".epoch-000002.safetensors.0123456789abcdef.tmp"
    half.write_bytes(b"half")
    newest = Files(job_at(str(tmp_path)), context_for(Ear(), tmp_path)).newest()
    assert newest is not None
    assert newest.epoch == 1
    assert not half.exists()


def test_files_that_no_row_names_are_removed_and_no_others(
    sqlite_database: Database, tmp_path: Path
) -> None:
    store, job = FolderStore(tmp_path), insert_job(sqlite_database)
    folders = [trial_folder(job.ulid, number) for number in range(3)]
    needed = {
        f"{folders[0]}/model.safetensors",
        f"{folders[0]}/epoch-000003.safetensors",
        f"{folders[1]}/epoch-000001.safetensors",
        f"{folders[1]}/.epoch-000002.safetensors.0.tmp",
        "jobs/job_of_another_database/trials/0/model.safetensors",
    }
    orphans = {
        f"{folders[0]}/epoch-000002.safetensors",
        f"{folders[0]}/.model.safetensors.0.tmp",
        f"{folders[2]}/epoch-000001.safetensors",
        f"{trial_folder(job.ulid, 7)}/epoch-000001.safetensors",
    }
    rows = [
        {
            "value": 0.5,
            "model_uri": f"{folders[0]}/model.safetensors",
            "checkpoint_uri": f"{folders[0]}/epoch-000003.safetensors",
        },
        {"state": "running"},
        {"state": "failed", "reason": "user_error"},
    ]
    for row in rows:
        insert_trials(sqlite_database, job, [row])
    for uri in needed | orphans:
        store.put(uri, b"content")
    assert collect_orphans(store, sqlite_database) == len(orphans)
    assert {file.uri for file in store.files("jobs")} == needed
    assert collect_orphans(store, sqlite_database) == 0
