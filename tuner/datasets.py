"""Uploaded data sets on the disk: a folder each, its files whole or not there at all.

Beside its files a folder has a manifest that tells their sizes and checksums. It is written before
a file gets its name, so that the naming alone decides: what the manifest lists and the folder has
is part of the data set.
"""

import hashlib
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from models.files import move_whole, write_whole
from tuner.dataset_views import DataFileView, UploadedData
from tuner.errors import DatasetNotFound, DatasetTaken, UploadRefused

MANIFEST: Final = ".dataset.json"
MAX_NAME: Final = 200
#: No hidden file, no path, nothing a shell or a log would have to quote.
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_FILES: Final = TypeAdapter(list[DataFileView])


class Datasets:
    """All uploaded data sets below one folder.

    Safe with several threads and processes of one host: what changes something holds a lock.
    """

    def __init__(self, root: Path, *, refuse_change: Callable[[str], None]) -> None:
        """`refuse_change(name)` raises where the data set must stay as it is."""
        self._root = root
        self._refuse_change = refuse_change

    def all(self) -> list[UploadedData]:
        """Those that have a file, by name."""
        if not self._root.is_dir():
            return []
        names = sorted(path.name for path in self._root.iterdir() if is_name(path.name))
        return [_view(name, files) for name in names if (files := self._files(name))]

    def find(self, name: str) -> UploadedData:
        """The data set of this name.

        Raises:
            DatasetNotFound: there is none.
        """
        files = self._files(name) if is_name(name) else []
        if not files:
            raise DatasetNotFound(name)
        return _view(name, files)

    def same(self, name: str, filename: str, sha256: str) -> UploadedData | None:
        """The data set, if it has such a file with this checksum; None if it has no such file.

        Raises:
            DatasetTaken: the file is another one.
        """
        files = self._files(name)
        former = next((file for file in files if file.name == filename), None)
        if former is not None and former.sha256 == sha256:
            return _view(name, files)
        if former is not None or (self._root / name / filename).exists():
            raise _taken(name, filename)
        return None

    def take_in(self, source: Path, name: str, file: DataFileView) -> tuple[UploadedData, bool]:
        """Move `source` into the data set as `file`; the data set, and whether that changed it.

        A data set that is not there is made. `source` must lie in the same file system.

        Raises:
            DatasetTaken: it has another file of this name.
            TunerError: what `refuse_change` raises.
        """
        folder = self._root / name
        with self._locked():
            if (former := self.same(name, file.name, file.sha256)) is not None:
                return former, False
            files = self._files(name)
            if files:
                self._refuse_change(name)
            files = sorted([*files, file], key=lambda each: each.name)
            write_whole(folder / MANIFEST, _FILES.dump_json(files, indent=2))
            move_whole(source, folder / file.name)
            return _view(name, files), True

    def remove(self, name: str) -> None:
        """Remove the data set and its files.

        Raises:
            DatasetNotFound: there is none.
            TunerError: what `refuse_change` raises.
        """
        with self._locked():
            self.find(name)
            self._refuse_change(name)
            # Renamed first: nobody finds half of it, also if this process ends here.
            gone = self._root / f".deleted-{secrets.token_hex(8)}"
            (self._root / name).rename(gone)
        self.remove_remains()

    def remove_remains(self) -> None:
        """Remove what a deletion has left that was broken off."""
        for gone in self._root.glob(".deleted-*"):
            shutil.rmtree(gone, ignore_errors=True)

    def _files(self, name: str) -> list[DataFileView]:
        folder = self._root / name
        try:
            listed = _FILES.validate_json((folder / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return []
        return [file for file in listed if (folder / file.name).is_file()]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        with FileLock(self._root / ".lock"):
            yield


def is_name(name: str) -> bool:
    """Whether a data set or a file may be called so."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def check_name(name: str, *, subject: str) -> str:
    """`name`, if a data set or a file may be called so.

    Raises:
        UploadRefused: it may not.
    """
    if is_name(name):
        return name
    raise UploadRefused(
        f"{subject} = {name[:80]!r} is no name: letters, digits and _ - . only, "
        f"no dot or hyphen first, {MAX_NAME} characters at most."
    )


def _view(name: str, files: Sequence[DataFileView]) -> UploadedData:
    lines = "".join(f"{file.sha256}  {file.name}\n" for file in files)
    return UploadedData(
        name=name,
        bytes=sum(file.bytes for file in files),
        sha256=hashlib.sha256(lines.encode()).hexdigest(),
        files=list(files),
        created_at=min(file.added_at for file in files),
    )


def _taken(name: str, filename: str) -> DatasetTaken:
    return DatasetTaken(
        f"Data set {name} has a file {filename} already, with other contents.",
        f"Take another name, or delete the data set first: tuner data delete {name}.",
    )
