"""Files that are there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`: after a crash at any moment the old file is there, or the new one.

    The folder is made if missing. Safe with several writers: the last one wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_beside(path) as temporary:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    _sync_folder(path.parent)


def move_whole(source: Path, target: Path) -> None:
    """Move a written file to `target`, in the same file system: it is there whole or not at all.

    What is in `source` is on the disk before it has its new name.
    """
    with source.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(source, target)
    _sync_folder(target.parent)


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """A free name in the same folder, since a file is only moved whole within one file system."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def marks_of(files: tuple[Path, ...]) -> tuple[tuple[int, int], ...]:
    """What changes when a file does, at the price of a stat."""
    return tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files)
