"""Artifact stores of all kinds: in a folder, in memory by way of fsspec, and on S3."""

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.contracts.artifact_contract import ArtifactStoreContract
from tuner.artifacts.opening import open_store
from tuner.artifacts.places import trial_folder, trial_of
from tuner.artifacts.store import ArtifactsUnavailable


class TestFolderStore(ArtifactStoreContract):
    place = "a folder"

    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return str(tmp_path / "artifacts")


class TestMemoryStore(ArtifactStoreContract):
    place = "memory"

    @pytest.fixture
    def address(self) -> Iterator[str]:
        yield "memory://artifacts"
        fsspec.filesystem("memory").store.clear()


class TestS3Store(ArtifactStoreContract):
    place = "S3"

    @pytest.fixture
    def address(self, s3_address: str) -> str:
        return s3_address


def test_a_store_that_is_not_there_is_named(s3_address: str) -> None:
    address = s3_address.replace("tuner", "no-such-bucket")
    with pytest.raises(ArtifactsUnavailable) as caught:
        open_store(address).put("jobs/x", b"1")
    assert str(caught.value).startswith(f"The artifact store {address} does not answer: ")


def test_what_a_client_refuses_is_said_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise ValueError("Invalid bucket name")

    store = open_store("memory://artifacts")
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", refuse)
    with pytest.raises(ArtifactsUnavailable, match="does not answer: Invalid bucket name"):
        store.read("jobs/x")


def test_a_copy_that_is_used_is_not_the_oldest(tmp_path: Path, s3_address: str) -> None:
    store = open_store(s3_address)
    store.put("jobs/x", b"1")
    copy = store.fetch("jobs/x", tmp_path)
    os.utime(copy, (0, 0))
    assert store.fetch("jobs/x", tmp_path) == copy
    assert copy.stat().st_mtime > 0


def test_an_address_nobody_understands_is_refused() -> None:
    with pytest.raises(ArtifactsUnavailable, match="store nothing://x does not answer: Protocol"):
        open_store("nothing://x")


def test_a_file_tells_whose_it_is() -> None:
    assert trial_of(f"{trial_folder('job_1', 12)}/model.safetensors") == ("job_1", 12)
    for strange in ("jobs/job_1/x", "jobs/job_1/trials/one/x", "logs/1.log", "x"):
        assert trial_of(strange) is None
