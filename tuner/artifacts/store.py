"""What a place for artifacts can do: six verbs, whoever keeps the files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models.files import Buffer
from tuner.errors import TunerError


class ArtifactsUnavailable(TunerError):
    """The artifact store cannot be reached, or refuses."""

    hint = "Look at TUNER_ARTIFACTS, and whether its credentials are known here."

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"The artifact store {address} does not answer: {why}")
        self.address = address


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file in the store."""

    uri: str
    size_bytes: int


class ArtifactStore(Protocol):
    """Files by their URIs: names with slashes, relative to the one root of the store.

    Safe to use from several threads and processes. A URI that leads out of the root is a
    `ValueError`. Every verb raises `ArtifactsUnavailable` where the store cannot be reached, and
    one of a folder the `OSError` of the disk.
    """

    def put(self, uri: str, *parts: Buffer) -> int:
        """Write the file, whole or not at all; its size in bytes. One that is there is replaced.

        After a crash at any moment the old file is there, or the new one.
        """

    def read(self, uri: str) -> bytes:
        """All of the file; `ArtifactNotFound` where there is none."""

    def fetch(self, uri: str, cache: Path) -> Path:
        """The file on this host: itself or, in the folder `cache`, a copy.

        `ArtifactNotFound` where there is none.
        """

    def files(self, folder: str) -> list[Stored]:
        """All files below the folder, by name, those being written included; none without it."""

    def delete(self, uris: Iterable[str]) -> None:
        """Remove files; what is not there is no fault."""

    def delete_folder(self, folder: str) -> None:
        """Remove the folder and all below it; what is not there is no fault."""


def bytes_of(files: Iterable[Stored]) -> int:
    """What files take in all."""
    return sum(file.size_bytes for file in files)
