"""Files that are there whole or not at all."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

Buffer = bytes | bytearray | memoryview

#: What is written in one call. For longer ones Linux may take huge pages that nobody has used yet,
#: and in a virtual machine each of those has to be got from the host: 150 MB took 11 times as long.
_PIECE_BYTES: Final = 1 << 20


def write_whole(path: Path, *parts: Buffer) -> int:
    """Write the parts one after the other to `path`; the file's size in bytes.

    After a crash at any moment the old file is there, or the new one. The folder is made if
    missing. Safe with several writers: the last one wins.
    """
    with whole(path) as temporary, temporary.open("wb") as file:
        return sum(file.write(piece) for part in parts for piece in _pieces(part))


def _pieces(part: Buffer) -> Iterator[memoryview]:
    with memoryview(part) as memory:
        for start in range(0, len(part), _PIECE_BYTES):
            yield memory[start : start + _PIECE_BYTES]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write a file to that becomes `path` at the end, as with `write_whole`.

    If an exception is raised within, `path` stays as it was.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_beside(path) as temporary:
        yield temporary
        move_whole(temporary, path)


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
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def marks_of(files: tuple[Path, ...]) -> tuple[tuple[int, int], ...]:
    """What changes when a file does, at the price of a stat."""
    stats = (os.stat(file) for file in files)
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)


def state_of(files: tuple[Path, ...]) -> str:
    """A digest of the files' names and `marks_of`: short, however many they are."""
    state = list(map(str, files)), marks_of(files)
    return hashlib.sha256(repr(state).encode()).hexdigest()
