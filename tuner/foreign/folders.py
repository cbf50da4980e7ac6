"""Folders of code on the disk: each named by its content, there whole or not at all.

A folder has its manifest and, in ``files``, the code itself, read-only. What is being unpacked, or
was removed, has a hidden name.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from filelock import FileLock

from tuner.disk import room
from tuner.foreign.errors import CodeNotFound, CodeRefused
from tuner.foreign.manifest import Manifest, is_sha256
from tuner.foreign.unpacking import CodeLimits, Readable, unpack
from tuner.foreign.views import CodeFileView, CodeView

_MANIFEST: Final = "manifest"
_FILES: Final = "files"
#: What a process that ended has left of an unpacking; no unpacking takes as long.
_LEFT_FOR: Final = timedelta(hours=1)


class CodeFolders:
    """All folders of code below one.

    Safe with several threads and processes of one host.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, sha256: str) -> Path:
        """Where the files of the code are, if it is there."""
        return self._root / sha256 / _FILES

    def names(self) -> list[str]:
        """The checksums of all that is there."""
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if is_sha256(path.name))

    def manifest(self, sha256: str) -> Manifest:
        """What the code's folder holds; its files were not read again.

        Raises:
            CodeNotFound: it is not there, or not whole.
        """
        if is_sha256(sha256):
            with suppress(OSError, ValueError):
                text = (self._root / sha256 / _MANIFEST).read_bytes().decode()
                found, folder = Manifest.parse(text), self.folder(sha256)
                if found.sha256 == sha256 and all(
                    os.stat(folder / file.path).st_size == file.bytes for file in found.files
                ):
                    return found
        raise CodeNotFound(sha256)

    def view(self, sha256: str) -> CodeView:
        """The code as the service tells of it.

        Raises:
            CodeNotFound: it is not there, or not whole.
        """
        found = self.manifest(sha256)
        files = [
            CodeFileView(
                path=file.path, bytes=file.bytes, sha256=file.sha256, executable=file.executable
            )
            for file in found.files
        ]
        return CodeView(
            sha256=sha256,
            bytes=found.bytes,
            file_count=len(files),
            modules=list(found.modules),
            files=files,
            used_at=self.used_at(sha256),
        )

    def used_at(self, sha256: str) -> datetime:
        """When the code was last taken in, or looked for by who wants to use it.

        Raises:
            CodeNotFound: it is not there.
        """
        try:
            return datetime.fromtimestamp((self._root / sha256 / _MANIFEST).stat().st_mtime, UTC)
        except FileNotFoundError as error:
            raise CodeNotFound(sha256) from error

    def has(self, sha256: str) -> bool:
        """Whether the code is there, whole; then it counts as used now."""
        try:
            self.manifest(sha256)
            os.utime(self._root / sha256 / _MANIFEST)
        except (CodeNotFound, FileNotFoundError):
            return False
        return True

    def take_in(
        self, archive: Readable, limits: CodeLimits, sha256: str | None = None
    ) -> tuple[str, bool]:
        """Unpack a tar file of code; its checksum, and whether it was not there before.

        Raises:
            CodeRefused: it is no tar file, holds what is no code, or has not this `sha256`.
            CodeTooLarge: it takes more than `limits`.
            DiskFull: there is no room for it.
        """
        with self._unpacked(archive, limits) as (folder, manifest):
            if sha256 not in (None, manifest.sha256):
                raise CodeRefused(
                    f"The code arrived with the SHA-256 {manifest.sha256}, not {sha256}.",
                    "Nothing was kept. See that no file changes meanwhile, and send it again.",
                )
            with self._locked():
                if self.has(manifest.sha256):
                    return manifest.sha256, False
                # What is there under this name, if anything, is not whole.
                self._discard(self._root / manifest.sha256)
                folder.rename(self._root / manifest.sha256)
        return manifest.sha256, True

    def remove(self, sha256: str, *, refuse: Callable[[], None] = lambda: None) -> None:
        """Remove the code, unless `refuse` raises.

        Raises:
            CodeNotFound: it is not there.
            TunerError: what `refuse` raises.
        """
        with self._locked():
            if sha256 not in self.names():
                raise CodeNotFound(sha256)
            refuse()
            self._discard(self._root / sha256)

    def remove_remains(self, now: datetime) -> None:
        """Remove what broken unpackings and removals have left."""
        for path in self._root.glob(".*-*"):
            with suppress(FileNotFoundError):
                if datetime.fromtimestamp(path.stat().st_mtime, UTC) < now - _LEFT_FOR:
                    _delete(path)

    @contextmanager
    def _unpacked(self, archive: Readable, limits: CodeLimits) -> Iterator[tuple[Path, Manifest]]:
        """A hidden folder with what is in the archive; whatever happens, it is not there after."""
        folder = self._root / f".new-{secrets.token_hex(8)}"
        try:
            with room(self._root):
                (folder / _FILES).mkdir(parents=True)
                manifest = unpack(archive, folder / _FILES, limits)
                (folder / _MANIFEST).write_bytes(manifest.text.encode())
                os.sync()  # all of it is on the disk before it has its name
            yield folder, manifest
        finally:
            _delete(folder)

    def _discard(self, folder: Path) -> None:
        # Renamed first: nobody finds half of it, also if this process ends here.
        gone = self._root / f".gone-{secrets.token_hex(8)}"
        with suppress(FileNotFoundError):
            folder.rename(gone)
            _delete(gone)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        with FileLock(self._root / ".lock"):
            yield


def _delete(folder: Path) -> None:
    """Remove a folder whose folders are read-only; nothing happens where there is none."""
    for below, _, _ in os.walk(folder):
        os.chmod(below, 0o755)
    shutil.rmtree(folder, ignore_errors=True)
