"""Data that goes to the server: file by file, in pieces, over connections that may break."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx2

from tuner.client.transport import ApiError, ServerUnreachable, Transport, pauses
from tuner.dataset_views import DatasetEntry, DatasetList, UploadedData, UploadView
from tuner.errors import TunerError

#: Of one request: large enough to fill a line, small enough to hold.
PIECE_BYTES: Final = 8 * 1024 * 1024
#: Tries in a row without a byte more before the server counts as gone: about 40 s.
PATIENCE: Final = 24
#: The last piece is answered when the server has counted the whole file.
ANSWER_S: Final = 600.0
#: What is over when one begins the upload again: it was behind or ahead, or the server was away.
_PASSING_PROBLEMS: Final = ("/problems#upload-offset-wrong", "/problems#upload-not-found")
_PASSING_STATUSES: Final = frozenset({502, 503, 504})

#: Called with a file's name, how many of its bytes the server has, and how many there are.
Progress = Callable[[str, int, int], None]


class FilesRefused(TunerError):
    """What is to be uploaded cannot be."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.hint = hint


class FileChanged(TunerError):
    """The file changed while it was uploaded."""

    hint = "Upload it again; the data set does not have it."

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} became shorter while it was uploaded.")
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file to upload, counted."""

    path: Path
    bytes: int
    sha256: str


class DataKeeper:
    """Uploads, lists and deletes data sets."""

    _http: Transport

    def add_data(
        self,
        paths: str | Path | Iterable[str | Path],
        name: str | None = None,
        *,
        progress: Progress = lambda file, sent, total: None,
    ) -> UploadedData:
        """Upload files into the data set `name`, which is made if it is not there.

        A folder stands for the files in it. Without `name`, a single file gives it, without its
        suffixes, or a single folder. A file is in the data set when it is whole and its checksum
        right. A broken connection is taken up again where it ended, and so is an upload that an
        earlier call left; a file that is there already is not sent.

        Raises:
            FilesRefused: there is no such file, or no name.
            FileChanged: a file became shorter meanwhile.
            ApiError: the server refused; a refusal that passes only after repeated tries.
            ServerUnreachable: it stayed away.
        """
        given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
        files = [file for path in given for file in _files_of(path)]
        target = name or _name_of(given)
        if not files:
            raise FilesRefused("No file is named.", "Name the files, or their folder.")
        for path in files:
            data = self._upload(target, _counted(path), progress)
        return data

    def data(self) -> list[DatasetEntry]:
        """The catalogue's data sets, then the uploaded ones, which have `uploaded` set."""
        return self._http.get("/v1/datasets", DatasetList).entries

    def delete_data(self, name: str) -> None:
        """Delete an uploaded data set that no job under way reads."""
        self._http.send("DELETE", f"/v1/datasets/{quote(name, safe='')}", repeatable=False)

    def _upload(self, name: str, file: _File, progress: Progress) -> UploadedData:
        waits, best = pauses(PATIENCE), -1
        while True:
            sent = best
            try:
                # To begin the same upload again is to learn how far it is.
                begun = self._begin(name, file)
                for step in self._pieces(begun, file):
                    if isinstance(step, UploadedData):
                        progress(file.path.name, file.bytes, file.bytes)
                        return step
                    sent = step
                    progress(file.path.name, sent, file.bytes)
            except (ServerUnreachable, ApiError) as error:
                if not _passes(error):
                    raise
                if sent > best:
                    waits, best = pauses(PATIENCE), sent
                pause_s = next(waits)
                if pause_s is None:
                    raise
                self._http.sleep(pause_s)

    def _begin(self, name: str, file: _File) -> UploadView | UploadedData:
        response = self._http.send(
            "POST",
            "/v1/datasets",
            params={"name": name, "filename": file.path.name, "sha256": file.sha256},
            headers={"Upload-Complete": "?0", "Upload-Length": str(file.bytes)},
        )
        if response.status_code == httpx2.codes.CREATED:
            return self._http.parse(UploadView, response)
        return self._http.parse(UploadedData, response)

    def _pieces(
        self, begun: UploadView | UploadedData, file: _File
    ) -> Iterator[int | UploadedData]:
        """Send what is missing: how many bytes are there after each piece, at last the data set."""
        if isinstance(begun, UploadedData):
            yield begun
            return
        offset = begun.offset
        yield offset
        with file.path.open("rb") as opened:
            opened.seek(offset)
            while True:
                piece = opened.read(min(PIECE_BYTES, file.bytes - offset))
                if not piece and offset < file.bytes:
                    raise FileChanged(file.path)
                response = self._send(begun.url, offset, piece)
                offset += len(piece)
                if response.status_code == httpx2.codes.OK:
                    yield self._http.parse(UploadedData, response)
                    return
                yield offset

    def _send(self, url: str, offset: int, piece: bytes) -> httpx2.Response:
        headers = {"Content-Type": "application/partial-upload", "Upload-Offset": str(offset)}
        rest: dict[str, Any] = {"content": piece, "headers": headers, "timeout": ANSWER_S}
        return self._http.send("PATCH", url, repeatable=False, **rest)


def _passes(error: ServerUnreachable | ApiError) -> bool:
    if isinstance(error, ServerUnreachable):
        return True
    return error.status in _PASSING_STATUSES or error.problem.type in _PASSING_PROBLEMS


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FilesRefused(f"There is no file {path}.", "Check its name.")
    below = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in below if not entry.is_file()]
    if folders:
        raise FilesRefused(
            f"{folders[0]} is no file; a data set has files and no folders.",
            "Name the files themselves, or copy the folder below a data root of the server.",
        )
    return below


def _name_of(given: list[Path]) -> str:
    if len(given) != 1:
        raise FilesRefused(
            f"{len(given)} files need a name in common.",
            "Give it: tuner data add FILE… --name NAME.",
        )
    name = given[0].resolve().name
    return name if given[0].is_dir() else name.partition(".")[0] or name


def _counted(path: Path) -> _File:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return _File(path=path, bytes=file.tell(), sha256=sha256)
