"""An archive becomes a folder: every member is looked at, and counted as it is unpacked.

An archive is a tar file, as Python, GNU or Git write it. Nothing it says is taken on trust: not its
names, not its sizes, not that it ends.
"""

import gzip
import hashlib
import os
import stat
import tarfile
import unicodedata
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol, cast

from tuner.foreign.errors import CodeRefused, CodeTooLarge
from tuner.foreign.manifest import CodeFile, Manifest, name_complaint

_PIECE_BYTES: Final = 1 << 20
#: Of a tar file's headers, for each member beside its name; and of its end.
_HEADER_BYTES: Final = 4 * 512
_END_BYTES: Final = 1 << 16
_UNREADABLE: Final = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError)


class Readable(Protocol):
    """What an archive is read from, once, from its beginning."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeLimits:
    """How much code may be taken in at once."""

    #: Of all files.
    bytes: int
    files: int
    #: Of the path of a file, in UTF-8.
    path_bytes: int


def unpack(archive: Readable, folder: Path, limits: CodeLimits) -> Manifest:
    """Unpack a tar file into `folder`, which is empty; what is there then, read-only.

    Raises:
        CodeRefused: it is no tar file, or holds what is no code.
        CodeTooLarge: it takes more than `limits`.
        OSError: the files could not be written.
    """
    most = limits.bytes + limits.files * (_HEADER_BYTES + 2 * limits.path_bytes) + _END_BYTES
    unpacking = _Unpacking(folder, limits)
    try:
        # As a stream: what comes is read once, and nothing in it can lead back.
        counted = cast(IO[bytes], _Counted(archive, most, limits))
        with tarfile.open(None, "r|", fileobj=counted) as members:
            for member in members:
                unpacking.take(member, members)
    except _UNREADABLE as error:
        raise CodeRefused(
            f"The archive cannot be read: {error}.", "Send a tar file, packed by gzip."
        ) from error
    return unpacking.done()


def unzipped(file: IO[bytes]) -> Readable:
    """What the gzip file holds."""
    return gzip.GzipFile(fileobj=file, mode="rb")


class _Counted:
    """Reads no more than so many bytes, whatever the archive says of its sizes."""

    def __init__(self, archive: Readable, most: int, limits: CodeLimits) -> None:
        self._archive = archive
        self._left = most
        self._limits = limits

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise _too_many_bytes(self._limits)
        data = self._archive.read(size)
        self._left -= len(data)
        return data


class _Unpacking:
    def __init__(self, folder: Path, limits: CodeLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._members = 0
        self._bytes = 0
        self._files: list[CodeFile] = []
        #: Every path there is, by what file systems that know no case take it for.
        self._taken: dict[str, str] = {}

    def take(self, member: tarfile.TarInfo, members: tarfile.TarFile) -> None:
        self._members += 1
        if self._members > self._limits.files:
            raise CodeTooLarge(
                f"The code has more than {self._limits.files:,} files and folders.",
                "TUNER_CODE_FILES",
            )
        path = self._path_of(member)
        self._take_names(path, is_file=not member.isdir())
        if member.isdir():
            return
        # Looked at before it is read, and counted again as it is.
        if self._bytes + member.size > self._limits.bytes:
            raise _too_many_bytes(self._limits)
        source = members.extractfile(member)
        assert source is not None
        with source:
            self._files.append(self._write(path, source, bool(member.mode & stat.S_IXUSR)))

    def done(self) -> Manifest:
        if not self._files:
            raise CodeRefused("The archive holds no file.", "Name a folder with code in it.")
        for below, _, _ in os.walk(self._folder):
            os.chmod(below, 0o555)
        return Manifest(tuple(self._files))

    def _path_of(self, member: tarfile.TarInfo) -> str:
        path = member.name
        complaint = name_complaint(path)
        if complaint is not None:
            raise CodeRefused(f"In the archive {complaint}")
        plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
        if not (plain or member.isdir()) or member.size < 0:
            kind = "a link" if member.issym() or member.islnk() else "no plain file"
            raise CodeRefused(
                f"In the archive {path!r} is {kind}; code has files and folders only.",
                "Put the file in its place, or leave it out.",
            )
        if len(path.encode()) > self._limits.path_bytes:
            raise CodeTooLarge(
                f"In the archive {path[:80]!r}… has a path of more than "
                f"{self._limits.path_bytes} bytes.",
                "TUNER_CODE_PATH_BYTES",
            )
        return path

    def _take_names(self, path: str, *, is_file: bool) -> None:
        parts = path.split("/")
        for n in range(1, len(parts) + (not is_file)):
            folder = "/".join(parts[:n]) + "/"
            self._refuse_twin(folder, self._taken.setdefault(_alike(folder), folder))
        if is_file:
            if self._taken.get(_alike(path)) == path:
                raise CodeRefused(f"In the archive {path!r} is there twice.")
            self._refuse_twin(path, self._taken.setdefault(_alike(path), path))

    def _refuse_twin(self, name: str, former: str) -> None:
        if former != name:
            raise CodeRefused(
                f"In the archive {former!r} and {name!r} are one and the same where case is not "
                "told apart, nor a file from a folder.",
                "Rename one of them.",
            )

    def _write(self, path: str, source: IO[bytes], executable: bool) -> CodeFile:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with target.open("xb") as file:
            while piece := source.read(_PIECE_BYTES):
                size += len(piece)
                if self._bytes + size > self._limits.bytes:
                    raise _too_many_bytes(self._limits)
                digest.update(piece)
                file.write(piece)
            os.fchmod(file.fileno(), 0o555 if executable else 0o444)
        self._bytes += size
        return CodeFile(path=path, bytes=size, sha256=digest.hexdigest(), executable=executable)


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name.rstrip("/")).casefold()


def _too_many_bytes(limits: CodeLimits) -> CodeTooLarge:
    return CodeTooLarge(f"The code has more than {limits.bytes:,} bytes.", "TUNER_CODE_BYTES")
