"""Artifacts in a folder of a file system that api, scheduler and workers share."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from models.files import Buffer, write_whole
from tuner.artifacts.store import Stored
from tuner.errors import ArtifactNotFound


class FolderStore:
    """An `ArtifactStore` whose root is a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, uri: str, *parts: Buffer) -> int:
        """See `ArtifactStore`; it is on the disk when this returns."""
        return write_whole(self._path(uri), *parts)

    def read(self, uri: str) -> bytes:
        """See `ArtifactStore`."""
        try:
            return self._path(uri).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ArtifactNotFound(f"file {uri}") from error

    def fetch(self, uri: str, cache: Path) -> Path:
        """See `ArtifactStore`; the file itself."""
        path = self._path(uri)
        if not path.is_file():
            raise ArtifactNotFound(f"file {uri}")
        return path

    def files(self, folder: str) -> list[Stored]:
        """See `ArtifactStore`."""
        place = self._path(folder)
        found = [
            Stored(uri=f"{folder}/{os.path.relpath(path, place)}", size_bytes=size)
            for path, size in files_below(place)
        ]
        return sorted(found, key=lambda file: file.uri)

    def delete(self, uris: Iterable[str]) -> None:
        """See `ArtifactStore`."""
        for uri in uris:
            self._path(uri).unlink(missing_ok=True)

    def delete_folder(self, folder: str) -> None:
        """See `ArtifactStore`."""
        shutil.rmtree(self._path(folder), ignore_errors=True)

    def _path(self, uri: str) -> Path:
        return self._root / checked(uri)


def checked(uri: str) -> str:
    """`uri`, if it stays below the root.

    Raises:
        ValueError: it does not.
    """
    if any(part in ("", ".", "..") for part in uri.split("/")) or "\\" in uri or "\0" in uri:
        raise ValueError(f"The URI {uri!r} must be names with a slash between them.")
    return uri


def files_below(folder: str | Path) -> Iterator[tuple[str, int]]:
    """All files below `folder` with their sizes in bytes, of which some may vanish meanwhile."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    yield from files_below(entry.path)
                else:
                    yield entry.path, entry.stat(follow_symlinks=False).st_size
