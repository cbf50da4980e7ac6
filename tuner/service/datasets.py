"""Data that people upload: taken in, listed, and kept as long as a job reads them."""

import os
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from models.entries import catalog
from tuner.dataset_views import DatasetEntry, DatasetList, UploadedData, UploadView
from tuner.datasets import Datasets, check_name
from tuner.errors import DatasetInUse, DatasetTaken, UploadRefused
from tuner.service.catalogue_views import entries
from tuner.service.part import Part
from tuner.store import jobs
from tuner.uploads import Announced, Uploads

#: An upload of which nothing was heard for so long is given up.
PATIENCE: Final = timedelta(days=1)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class DataSets(Part):
    """Keeps the uploaded data sets, and the uploads that become some."""

    def datasets(self) -> DatasetList:
        """The catalogue's data sets, then the uploaded ones."""
        known = entries("datasets", self._settings.roots).entries
        listed = [DatasetEntry(**entry.model_dump()) for entry in known]
        return DatasetList(entries=listed + [_entry(data) for data in self._datasets.all()])

    def dataset(self, name: str) -> UploadedData:
        """An uploaded data set.

        Raises:
            DatasetNotFound: there is none of this name.
        """
        return self._datasets.find(name)

    def delete_dataset(self, name: str) -> None:
        """Remove an uploaded data set and its files.

        Raises:
            DatasetNotFound: there is none of this name.
            DatasetInUse: a job that is not finished reads it.
        """
        self._datasets.remove(name)

    def begin_upload(
        self, name: str, filename: str, *, length: int | None = None, sha256: str | None = None
    ) -> UploadView | UploadedData:
        """The upload of a file into a data set, new or where it was left; the data set, if it
        has this file already.

        Raises:
            UploadRefused: a name, the length or the checksum is none.
            DatasetTaken: the name stands for something else.
            DatasetInUse: a job that is not finished reads the data set.
            UploadTooLarge, DiskFull: there is no room.
        """
        announced = _announced(name, filename, length, sha256)
        self.drop_old_uploads()
        self._refuse_taken(name)
        if announced.sha256 is not None:
            same = self._datasets.same(name, filename, announced.sha256)
            if same is not None:
                return same
            self._refuse_change(name)
        return self.upload(self._uploads.begin(announced))

    def upload(self, upload: str) -> UploadView:
        """How far an upload is.

        Raises:
            UploadNotFound: there is none, or it is finished.
        """
        announced = self._uploads.announced(upload)
        return UploadView(
            id=upload,
            name=announced.name,
            filename=announced.filename,
            offset=self._uploads.offset(upload),
            length=announced.length,
            url=f"/v1/uploads/{upload}",
        )

    def append_upload(self, upload: str, offset: int, data: bytes) -> int:
        """Add bytes to an upload that has `offset` of them; how many it has then.

        Raises:
            UploadNotFound, UploadOffsetWrong, UploadRefused, UploadTooLarge, DiskFull.
        """
        return self._uploads.append(upload, offset, data)

    def finish_upload(self, upload: str) -> tuple[UploadedData, bool]:
        """Make the file part of its data set; that, and whether it was not before.

        Raises:
            UploadNotFound, UploadRefused, ChecksumWrong, DatasetTaken, DatasetInUse, DiskFull.
        """
        return self._uploads.finish(upload, self._clock())

    def drop_upload(self, upload: str) -> None:
        """Give an upload up, if there is such a one."""
        self._uploads.drop(upload)

    def drop_old_uploads(self) -> None:
        """Remove what nobody goes on with, and what a broken deletion has left."""
        self._uploads.drop_older(self._clock() - PATIENCE)
        self._datasets.remove_remains()

    @property
    def _datasets(self) -> Datasets:
        return Datasets(self._settings.datasets, refuse_change=self._refuse_change)

    @property
    def _uploads(self) -> Uploads:
        # Below the data sets: a file is only moved whole within one file system.
        folder = self._settings.datasets / ".uploads"
        return Uploads(folder, self._datasets, limit=self._settings.upload_bytes)

    def _refuse_taken(self, name: str) -> None:
        """A spec would find something else under this name first."""
        other = "Take another name."
        if name in catalog().data:
            raise DatasetTaken(f"{name} is a data set of the catalogue.", other)
        for root in self._settings.roots[:-1]:
            if (Path(root) / name).exists():
                raise DatasetTaken(f"{name} lies below the data root {root} already.", other)

    def _refuse_change(self, name: str) -> None:
        roots = [Path(root) for root in self._settings.roots]
        folder = roots[-1] / name
        with self._db.reading() as connection:
            live = jobs.live_specs(connection)
        for row in live:
            places = (_place(text, roots) for text in _texts(row.spec["data"]))
            if any(place and place.is_relative_to(folder) for place in places):
                raise DatasetInUse(name, row.ulid)


def _announced(name: str, filename: str, length: int | None, sha256: str | None) -> Announced:
    check_name(name, subject="name")
    check_name(filename, subject="filename")
    if length is not None and length < 1:
        raise UploadRefused(f"Upload-Length = {length}: a file of data has at least one byte.")
    digest = sha256 and sha256.lower()
    if digest is not None and not _SHA256.fullmatch(digest):
        raise UploadRefused(
            f"sha256 = {digest[:80]!r} is no SHA-256 in 64 hexadecimal digits.",
            "`sha256sum FILE` tells it.",
        )
    return Announced(name=name, filename=filename, length=length, sha256=digest)


def _entry(data: UploadedData) -> DatasetEntry:
    files = f"{len(data.files)} files" if len(data.files) > 1 else data.files[0].name
    return DatasetEntry(
        name=data.name,
        summary=f"Uploaded: {files}, {data.bytes:,} bytes.",
        facts={"available": True, "uploaded": True, "sha256": data.sha256},
        uploaded=data,
    )


def _texts(data: Any) -> Iterator[str]:
    """All texts of a spec's `data`, any of which may be a path."""
    match data:
        case str():
            yield data
        case dict():
            for value in data.values():
                yield from _texts(value)
        case list():
            for value in data:
                yield from _texts(value)


def _place(text: str, roots: Sequence[Path]) -> Path | None:
    """What a path of a spec means: the first that is there, below each root in turn."""
    candidates = (os.path.realpath(root / text) for root in roots)
    return next((Path(path) for path in candidates if os.path.exists(path)), None)
