"""The log of one attempt, as long as it may be on the disk as large as its cap.

The first half of the cap keeps the head. What follows goes to segments of a quarter each, of
which the last two stay. A segment's name holds its offset in the stream, so that head and tail
can be read back whatever happened to their writer.
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

DEFAULT_CAP_BYTES: Final = 1 << 20
_SEGMENTS_KEPT: Final = 2


def path_of(root: Path, attempt: int) -> Path:
    """Where the attempt's log begins; its segments lie beside it."""
    return root / f"{attempt}.log"


class CappedLog:
    """Writes one log; the files appear with the first byte. For one thread at a time."""

    def __init__(self, path: Path, cap_bytes: int = DEFAULT_CAP_BYTES) -> None:
        self._path = path
        self._head_bytes = cap_bytes // 2
        self._segment_bytes = cap_bytes // 4
        self._file: FileIO | None = None
        self._kept: list[Path] = []
        #: Bytes still to go into the file that is open.
        self._room = 0
        self._written = 0

    def write(self, data: bytes) -> None:
        """Append; what falls out of the middle is counted, not kept."""
        rest = memoryview(data)
        while rest:
            if not self._room:
                self._open_next()
            part, rest = rest[: self._room], rest[self._room :]
            assert self._file is not None
            self._file.write(part)
            self._room -= len(part)
            self._written += len(part)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open_next(self) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            remove(self._path)
            self._file, self._room = FileIO(self._path, "w"), self._head_bytes
            return
        self._file.close()
        if len(self._kept) == _SEGMENTS_KEPT:
            self._kept.pop(0).unlink(missing_ok=True)
        self._kept.append(self._path.with_name(f"{self._path.name}.{self._written:015d}"))
        self._file, self._room = FileIO(self._kept[-1], "w"), self._segment_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """A part of a log. Offsets count the bytes the attempt wrote, kept or not."""

    data: bytes
    #: Where to read on.
    next_offset: int
    #: Bytes written so far.
    size: int

    @property
    def text(self) -> str:
        """The page as text; a byte that is no UTF-8 becomes a replacement character."""
        return self.data.decode("utf-8", errors="replace")


def read(path: Path, offset: int = 0, limit: int = sys.maxsize) -> LogPage:
    """The log from `offset` on, up to `limit` bytes of it, with a line where bytes were left out.

    By default all that is kept: as much as the log's cap.
    A log that is not there is empty. Reading while it is written is fine.
    """
    data, position, size = bytearray(), offset, 0
    for start, piece in _pieces(path):
        size = start + len(piece)
        room = limit - (position - offset)
        if size <= position or room <= 0:
            continue
        if start > position:
            data += f"\n… {start - position} bytes left out …\n".encode()
            offset, position = offset + start - position, start
        part = piece[position - start : position - start + room]
        data += part
        position += len(part)
    return LogPage(data=bytes(data), next_offset=position, size=size)


def tail(path: Path, limit: int = 4096) -> str:
    """The last `limit` bytes of the log, as text."""
    size = read(path, limit=0).size
    return read(path, offset=max(0, size - limit)).text


def remove(path: Path) -> None:
    """Delete the log, if there is one."""
    for _, file in _files(path):
        file.unlink(missing_ok=True)


def attempts_in(root: Path) -> frozenset[int]:
    """The attempts of which there is a log, or a part of one."""
    names = (path.name.partition(".log")[0] for path in root.glob("*.log*"))
    return frozenset(int(name) for name in names if name.isdecimal())


def written_at(path: Path) -> float:
    """When something was last written to the log, in seconds since 1970; 0 without one."""
    return max((file.stat().st_mtime for _, file in _files(path)), default=0.0)


def _pieces(path: Path) -> Iterator[tuple[int, bytes]]:
    for start, file in _files(path):
        with suppress(FileNotFoundError):  # rotated away since it was listed: left out
            yield start, file.read_bytes()


def _files(path: Path) -> list[tuple[int, Path]]:
    files = [(0, path)] if path.exists() else []
    for file in path.parent.glob(f"{path.name}.*"):
        files.append((int(file.suffix[1:]), file))
    return sorted(files)
