"""Code that goes to the server before the job that runs it: a folder, sent once."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tuner.client.specs import Spec, document_of
from tuner.client.transport import ApiError, Transport
from tuner.errors import Fault, SpecInvalid
from tuner.foreign.packing import code_of, pack
from tuner.foreign.views import CodeList, CodeSummary, CodeView

#: The server unpacks and counts before it answers.
ANSWER_S: Final = 300.0
_NOT_FOUND: Final = "/problems#code-not-found"


class CodeKeeper:
    """Uploads, lists and deletes code."""

    _http: Transport

    def add_code(self, folder: str | Path) -> CodeView:
        """Upload a folder of code; what the server has already is not sent.

        Hidden files, bytecode, virtual environments and what the folder's ``.tunerignore`` names
        stay here. A spec names the code by its checksum: ``code: {sha256: …}``.

        Raises:
            CodeRefused: there is no such folder, or something in it that cannot be sent.
            ApiError: the server takes no code, or not so much.
        """
        path = Path(folder)
        manifest = code_of(path)
        address = _address(manifest.sha256)
        try:
            return self._http.get(address, CodeView)
        except ApiError as error:
            if error.problem.type != _NOT_FOUND:
                raise
        archive = io.BytesIO()
        pack(path, manifest, archive)
        headers = {"Content-Type": "application/gzip"}
        sent: dict[str, Any] = {"content": archive.getvalue(), "headers": headers}
        # To send the same code again changes nothing.
        return self._http.parse(CodeView, self._http.send("PUT", address, timeout=ANSWER_S, **sent))

    def code(self) -> list[CodeSummary]:
        """All code the server has, what was used last first."""
        return self._http.get("/v1/code", CodeList).code

    def delete_code(self, sha256: str) -> None:
        """Delete code that no job under way runs."""
        self._http.send("DELETE", _address(sha256), repeatable=False)

    def _with_code(self, spec: Spec, folder: str | Path | None) -> Spec:
        """The spec, with the folder's code uploaded and named in it."""
        if folder is None:
            return spec
        document = document_of(spec)
        if not isinstance(document, Mapping):
            detail = f"A spec is a mapping of names to values, not {type(document).__name__}."
            raise SpecInvalid([Fault(pointer="", code="type", detail=detail)])
        return {**document, "code": {"sha256": self.add_code(folder).sha256}}


def _address(sha256: str) -> str:
    return f"/v1/code/{quote(sha256, safe='')}"
