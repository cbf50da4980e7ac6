"""Uploads under way: bytes that arrive piece by piece, and become a file of a data set at the end.

An upload is a folder with what was announced and what has arrived. Its id follows from what was
announced, so who begins the same upload again goes on with it.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from models.files import write_whole
from tuner.dataset_views import DataFileView, UploadedData
from tuner.datasets import Datasets
from tuner.disk import room
from tuner.errors import (
    ChecksumWrong,
    DiskFull,
    UploadNotFound,
    UploadOffsetWrong,
    UploadRefused,
    UploadTooLarge,
)

_ABOUT: Final = "upload.json"
_DATA: Final = "data"
_ID_LENGTH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What is said of a file before it comes."""

    name: str
    filename: str
    #: None where only the end of the transfer tells.
    length: int | None = None
    #: In hexadecimal digits; None where nobody has counted.
    sha256: str | None = None


_READER: Final = TypeAdapter(Announced)


class Uploads:
    """All uploads below one folder.

    Safe with several threads and processes of one host: bytes are only written behind those that
    are there, under a lock on their file.
    """

    def __init__(
        self,
        root: Path,
        datasets: Datasets,
        *,
        limit: int,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        """`limit` bytes are the most a file may have."""
        self._root = root
        self._datasets = datasets
        self._limit = limit
        self._free_bytes = free_bytes

    def begin(self, announced: Announced) -> str:
        """The id of the upload of such a file, new or as it was left.

        Raises:
            UploadTooLarge: the file is larger than the limit.
            DiskFull: there is no room for it.
        """
        upload = _id_of(announced)
        folder = self._root / upload
        if (announced.length or 0) > self._limit:
            raise UploadTooLarge(self._limit)
        with room(self._root):
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / _ABOUT, _READER.dump_json(announced))
            (folder / _DATA).touch()
        missing = (announced.length or 0) - self.offset(upload)
        if missing > self._free_bytes(folder):
            raise DiskFull(str(self._root))
        return upload

    def announced(self, upload: str) -> Announced:
        """What was said of the upload's file.

        Raises:
            UploadNotFound: there is no such upload.
        """
        with _known(upload):
            return _READER.validate_json((self._folder(upload) / _ABOUT).read_bytes())

    def offset(self, upload: str) -> int:
        """How many bytes have arrived.

        Raises:
            UploadNotFound: there is no such upload.
        """
        with _known(upload):
            return (self._folder(upload) / _DATA).stat().st_size

    def append(self, upload: str, offset: int, data: bytes) -> int:
        """Write `data` behind the `offset` bytes that have arrived; how many have then.

        Raises:
            UploadNotFound: there is no such upload.
            UploadOffsetWrong: another number of bytes has arrived.
            UploadRefused: the data goes on behind the announced end.
            UploadTooLarge: the file would be larger than the limit.
            DiskFull: there is no room for it; what has arrived stays.
        """
        self._check_end(self.announced(upload), offset + len(data))
        with _known(upload), (self._folder(upload) / _DATA).open("r+b", buffering=0) as file:
            # A request whose client is long gone may still be at work on this file.
            fcntl.flock(file, fcntl.LOCK_EX)
            arrived = os.fstat(file.fileno()).st_size
            if arrived != offset:
                raise UploadOffsetWrong(upload, offset, arrived)
            with room(self._root):
                file.seek(offset)
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
        return offset + len(data)

    def finish(self, upload: str, now: datetime) -> tuple[UploadedData, bool]:
        """Check the file and move it into its data set; that, and whether it is changed by it.

        Raises:
            UploadNotFound: there is no such upload.
            UploadRefused: bytes are missing.
            ChecksumWrong: they are not what was announced; the upload is given up.
            TunerError: what `Datasets.take_in` raises; then the upload stays.
        """
        announced, source = self.announced(upload), self._folder(upload) / _DATA
        arrived = self.offset(upload)
        if arrived != (announced.length or max(1, arrived)):
            wanted = announced.length or 1
            raise UploadRefused(
                f"{announced.filename} has {arrived:,} of at least {wanted:,} bytes.",
                "Send all of it; a file without a byte is no data.",
            )
        with _known(upload), source.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != (announced.sha256 or found):
            self.drop(upload)
            raise ChecksumWrong(announced.filename, str(announced.sha256), found)
        file_view = DataFileView(name=announced.filename, bytes=arrived, sha256=found, added_at=now)
        with _known(upload), room(self._root):
            taken_in = self._datasets.take_in(source, announced.name, file_view)
        self.drop(upload)
        return taken_in

    def drop(self, upload: str) -> None:
        """Give the upload up; nothing happens where there is none."""
        if _is_id(upload):
            shutil.rmtree(self._root / upload, ignore_errors=True)

    def drop_older(self, than: datetime) -> None:
        """Give up all uploads for which nothing has arrived since."""
        for folder in self._root.glob("*"):
            with suppress(FileNotFoundError):  # finished meanwhile
                touched = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
                if touched < than.timestamp():
                    self.drop(folder.name)

    def _check_end(self, announced: Announced, end: int) -> None:
        if announced.length is not None and end > announced.length:
            raise UploadRefused(
                f"{announced.filename} was announced with {announced.length:,} bytes, "
                f"but these end at {end:,}.",
                "Begin another upload with the right length and checksum.",
            )
        if end > self._limit:
            raise UploadTooLarge(self._limit)

    def _folder(self, upload: str) -> Path:
        if not _is_id(upload):
            raise UploadNotFound(upload)
        return self._root / upload


def _id_of(announced: Announced) -> str:
    """The same for the same file under the same name; a new one where there is no checksum."""
    if announced.sha256 is None or announced.length is None:
        return secrets.token_hex(_ID_LENGTH // 2)
    text = "\n".join(map(str, asdict(announced).values()))
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_LENGTH]


def _is_id(upload: str) -> bool:
    return len(upload) == _ID_LENGTH and all(c in "0123456789abcdef" for c in upload)


@contextmanager
def _known(upload: str) -> Iterator[None]:
    """Around what reads an upload, which may be over at any moment."""
    try:
        yield
    except (FileNotFoundError, ValidationError) as error:
        raise UploadNotFound(upload) from error
