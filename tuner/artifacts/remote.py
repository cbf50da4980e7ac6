"""Artifacts at an address that fsspec knows: S3, Google Cloud Storage, Azure and others."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import fsspec

from models.files import Buffer, write_whole
from tuner.artifacts.folder import checked
from tuner.artifacts.store import ArtifactsUnavailable, Stored
from tuner.errors import ArtifactNotFound


class RemoteStore:
    """An `ArtifactStore` below an address. A file is one object, put in one request: whole or not.

    Objects are listed anew at every call: others write them, too.
    """

    def __init__(self, address: str) -> None:
        """Raises `ArtifactsUnavailable` where no client for such an address is installed."""
        self.address = address.rstrip("/")
        try:
            self._remote, self._root = fsspec.url_to_fs(self.address, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise ArtifactsUnavailable(self.address, str(error)) from error

    def put(self, uri: str, *parts: Buffer) -> int:
        """See `ArtifactStore`."""
        path, data = self._path(uri), b"".join(parts)
        with self._answering():
            self._remote.pipe_file(path, data)
        return len(data)

    def read(self, uri: str) -> bytes:
        """See `ArtifactStore`."""
        path = self._path(uri)
        with self._answering(), self._existing(uri):
            data: bytes = self._remote.cat_file(path)
        return data

    def fetch(self, uri: str, cache: Path) -> Path:
        """See `ArtifactStore`; a copy, as long as the object is the one that was copied."""
        path = self._path(uri)
        with self._answering(), self._existing(uri):
            facts = self._remote.info(path)
        state = self.address, uri, *(str(facts.get(key)) for key in _TELLS_CHANGE)
        name = hashlib.sha256(repr(state).encode()).hexdigest()[:32]
        copy = cache / f"{name}{Path(uri).suffix}"
        try:
            os.utime(copy)  # what was used last is removed last
        except FileNotFoundError:
            write_whole(copy, self.read(uri))
        return copy

    def files(self, folder: str) -> list[Stored]:
        """See `ArtifactStore`."""
        path = self._path(folder)
        with self._answering():
            found = self._remote.find(path, detail=True)
        start = len(self._root) + 1
        files = [
            Stored(uri=path[start:], size_bytes=int(facts["size"] or 0))
            for path, facts in found.items()
        ]
        return sorted(files, key=lambda file: file.uri)

    def delete(self, uris: Iterable[str]) -> None:
        """See `ArtifactStore`."""
        for uri in uris:
            path = self._path(uri)
            with self._answering(), suppress(FileNotFoundError):
                self._remote.rm_file(path)

    def delete_folder(self, folder: str) -> None:
        """See `ArtifactStore`."""
        self.delete(file.uri for file in self.files(folder))

    def _path(self, uri: str) -> str:
        return f"{self._root}/{checked(uri)}"

    @contextmanager
    def _existing(self, uri: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ArtifactNotFound(f"file {uri}") from error

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except ArtifactNotFound:
            raise
        except Exception as error:  # every client has errors of its own
            why = str(error) or type(error).__name__
            raise ArtifactsUnavailable(self.address, why) from error


#: What changes with an object's contents; which of them there are differs from store to store.
_TELLS_CHANGE = ("size", "ETag", "etag", "md5Hash", "LastModified", "last_modified", "created")
