"""What every artifact store must do alike, wherever it keeps its files."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest

from tests.checkpoints import FOLDER, Ear, context_for, job_at, make_epoch
from tests.damage import damaged
from tests.faults.counting import Counts
from tuner.artifacts.opening import open_store
from tuner.artifacts.store import ArtifactStore, Stored
from tuner.errors import ArtifactNotFound
from tuner.trial_files import Best, CheckpointsLost, Files


class ArtifactStoreContract:
    """Inherit, and say at which `address` the store is, and which `place` that is."""

    place: ClassVar[str]

    @pytest.fixture
    def store(self, address: str) -> ArtifactStore:
        return open_store(address)

    def test_what_is_put_in_parts_is_read_in_one(self, store: ArtifactStore) -> None:
        assert store.put("jobs/a/x", b"one ", memoryview(b"two"), bytearray(b" three")) == 13
        assert store.read("jobs/a/x") == b"one two three"

    def test_large_parts_are_put_to_the_last_byte(self, store: ArtifactStore) -> None:
        large = random.Random(0).randbytes(2 * 2**20 + 3)
        assert store.put("jobs/a/x", b"head", large, large) == 4 + 2 * len(large)
        assert store.read("jobs/a/x") == b"head" + large + large

    def test_what_is_put_again_replaces_what_was_there(
        self, store: ArtifactStore, tmp_path: Path
    ) -> None:
        for content in (b"first", b"second"):
            store.put("jobs/a/x.bin", content)
            assert store.read("jobs/a/x.bin") == content
            assert store.fetch("jobs/a/x.bin", tmp_path / "cache").read_bytes() == content
        assert store.files("jobs") == [Stored(uri="jobs/a/x.bin", size_bytes=6)]

    def test_of_writers_at_once_the_last_wins_whole(self, store: ArtifactStore) -> None:
        contents = [bytes([number]) * 10_000 for number in range(20)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda content: store.put("jobs/a/x", content), contents))
        assert store.read("jobs/a/x") in contents
        assert len(store.files("jobs")) == 1

    def test_what_is_not_there_is_said_and_may_be_removed(
        self, store: ArtifactStore, tmp_path: Path
    ) -> None:
        with pytest.raises(ArtifactNotFound, match="There is no file jobs/a/x"):
            store.read("jobs/a/x")
        with pytest.raises(ArtifactNotFound, match="There is no file jobs/a/x"):
            store.fetch("jobs/a/x", tmp_path)
        assert store.files("jobs/a") == []
        store.delete(["jobs/a/x"])
        store.delete_folder("jobs/a")

    def test_a_folder_s_files_are_listed_and_removed_and_no_others(
        self, store: ArtifactStore
    ) -> None:
        for uri in ("jobs/a/2", "jobs/a/trials/1", "jobs/ab/3", "jobs/b/4"):
            store.put(uri, b"1234")
        found = store.files("jobs/a")
        assert [(file.uri, file.size_bytes) for file in found] == [
            ("jobs/a/2", 4),
            ("jobs/a/trials/1", 4),
        ]
        store.delete_folder("jobs/a")
        assert [file.uri for file in store.files("jobs")] == ["jobs/ab/3", "jobs/b/4"]
        store.delete(["jobs/ab/3", "jobs/none"])
        assert [file.uri for file in store.files("jobs")] == ["jobs/b/4"]

    @pytest.mark.parametrize("uri", ["../x", "jobs/../../x", "/etc/passwd", "", "jobs//x", "a/./b"])
    def test_no_uri_leads_out_of_the_root(self, store: ArtifactStore, uri: str) -> None:
        for use in (store.read, store.put, store.files, store.delete_folder):
            with pytest.raises(ValueError, match="must be names with a slash between them"):
                use(uri)

    def test_a_damaged_checkpoint_is_never_taken_for_a_whole_one(
        self, address: str, rounds: Callable[[int, int], int], tmp_path: Path, counted: Counts
    ) -> None:
        store, job = open_store(address), job_at(address)
        with Files(job, context_for(Ear(), tmp_path)) as files:
            best = files.save(make_epoch(1), Best())
            files.save(make_epoch(2), best)
        newest = f"{FOLDER}/epoch-000002.safetensors"
        content = store.read(newest)
        with counted("checkpoints damaged: a bit flipped, or cut off", self.place) as count:
            for number in range(rounds(10, 200)):
                store.put(newest, damaged(content, seed=number))
                ear = Ear()
                found = Files(job, context_for(ear, tmp_path)).newest()
                count.add(1, detected=found is not None and found.epoch == 1)
                assert [(word.step, word.uri) for word in ear.saved] == [
                    (1, f"{FOLDER}/epoch-000001.safetensors")
                ]
                assert [file.uri for file in store.files(FOLDER)] == [ear.saved[0].uri]
            assert count.found["detected"] == count.injected == rounds(10, 200)

    def test_where_no_checkpoint_is_whole_it_says_so_and_the_next_attempt_starts_over(
        self, address: str, tmp_path: Path
    ) -> None:
        store, job = open_store(address), job_at(address)
        with Files(job, context_for(Ear(), tmp_path)) as files:
            files.save(make_epoch(2), files.save(make_epoch(1), Best()))
        for file in store.files(FOLDER):
            store.put(file.uri, damaged(store.read(file.uri), seed=1))
        files = Files(job, context_for(Ear(), tmp_path))
        with pytest.raises(CheckpointsLost, match="No checkpoint of the trial is whole, of 2"):
            files.newest()
        assert Files(job, context_for(Ear(), tmp_path)).newest() is None
