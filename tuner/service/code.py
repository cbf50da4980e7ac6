"""Code that people bring: taken in, listed, and kept as long as a job runs it."""

import tempfile
from functools import partial
from typing import IO

from tuner.disk import room
from tuner.foreign.errors import CodeInUse, CodeNotAllowed, CodeNotFound, CodeRefused
from tuner.foreign.folders import CodeFolders
from tuner.foreign.manifest import is_sha256
from tuner.foreign.permission import upload_complaint
from tuner.foreign.unpacking import unzipped
from tuner.foreign.views import CodeList, CodeSummary, CodeView
from tuner.service.part import Part
from tuner.service.pinning import limits_of
from tuner.store import jobs


class CodeOfOthers(Part):
    """Keeps the folders of code."""

    def all_code(self) -> CodeList:
        """All code there is, what was used last first."""
        found = [view for name in self._code.names() if (view := self._view(name)) is not None]
        fields = CodeSummary.model_fields
        listed = [CodeSummary(**view.model_dump(include=set(fields))) for view in found]
        return CodeList(code=sorted(listed, key=lambda code: code.used_at, reverse=True))

    def code(self, sha256: str) -> CodeView:
        """The code of this checksum.

        Raises:
            CodeNotFound: it is not here.
        """
        return self._code.view(sha256)

    def known_code(self, sha256: str) -> CodeView | None:
        """The code that somebody is about to send, if it is here already.

        Raises:
            CodeNotAllowed: this server takes no code.
            CodeRefused: it is no checksum.
        """
        complaint = upload_complaint(self._settings)
        if complaint is not None:
            detail, _, hint = complaint.partition(": ")
            raise CodeNotAllowed(f"{detail}.", f"{hint[:1].upper()}{hint[1:]}")
        if not is_sha256(sha256):
            raise CodeRefused(
                f"sha256 = {sha256[:80]!r} is no SHA-256 in 64 hexadecimal digits.",
                "`tuner code add FOLDER` counts and sends it.",
            )
        return self._view(sha256) if self._code.has(sha256) else None

    def begin_archive(self) -> IO[bytes]:
        """A file for an archive that comes in; it is nowhere to be found, and gone when closed.

        Raises:
            DiskFull: there is no room for it.
        """
        with room(self._settings.code):
            self._settings.code.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(dir=self._settings.code)

    def append_archive(self, archive: IO[bytes], piece: bytes) -> None:
        """Add bytes to the archive.

        Raises:
            DiskFull: there is no room for them.
        """
        with room(self._settings.code):
            archive.write(piece)

    def take_code(self, sha256: str, archive: IO[bytes]) -> tuple[CodeView, bool]:
        """Unpack the archive, a tar file packed by gzip; the code, and whether it is new here.

        Raises:
            CodeRefused, CodeTooLarge, DiskFull.
        """
        with room(self._settings.code):
            archive.seek(0)
        _, is_new = self._code.take_in(unzipped(archive), limits_of(self._settings), sha256)
        return self._code.view(sha256), is_new

    def delete_code(self, sha256: str) -> None:
        """Remove the code.

        Raises:
            CodeNotFound: it is not here.
            CodeInUse: a job that is not finished runs it.
        """
        self._code.remove(sha256, refuse=partial(self._refuse_used, sha256))

    def drop_remains_of_code(self) -> None:
        """Remove what broken uploads and removals have left."""
        self._code.remove_remains(self._clock())

    @property
    def _code(self) -> CodeFolders:
        return CodeFolders(self._settings.code)

    def _view(self, sha256: str) -> CodeView | None:
        try:
            return self._code.view(sha256)
        except CodeNotFound:  # removed meanwhile, or not whole
            return None

    def _refuse_used(self, sha256: str) -> None:
        with self._db.reading() as connection:
            live = jobs.live_specs(connection)
        for row in live:
            if row.spec.get("code", {}).get("sha256") == sha256:
                raise CodeInUse(sha256, row.ulid)
