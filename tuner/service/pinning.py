"""The code that a spec names: whether it may run here, and which it is, for good."""

from pathlib import Path
from typing import Final

from tuner.errors import Fault, SpecInvalid, TunerError
from tuner.foreign.commits import take_commit
from tuner.foreign.errors import CodeRefused, CodeTooLarge
from tuner.foreign.folders import CodeFolders
from tuner.foreign.origin import Code
from tuner.foreign.permission import code_complaint, repository_folder
from tuner.foreign.unpacking import CodeLimits
from tuner.settings import Settings
from tuner.spec import JobSpec

_MISSING: Final = "upload it first: tuner submit --code FOLDER SPEC.yaml."


def pinned(spec: JobSpec, settings: Settings) -> JobSpec:
    """The spec with the checksum of its code, which is there; a commit is taken in for that.

    Raises:
        SpecInvalid: this server takes no such code, or has it not.
    """
    if spec.code is None:
        return spec
    complaint = code_complaint(spec.code, settings)
    if complaint is not None:
        raise _invalid("", "code-not-allowed", complaint)
    folders = CodeFolders(settings.code)
    if spec.code.git is not None:
        return spec.model_copy(update={"code": _committed(spec.code, folders, settings)})
    if not folders.has(str(spec.code.sha256)):
        detail = f"code.sha256 = {spec.code.sha256!r}: this server has no such code; {_MISSING}"
        raise _invalid("/sha256", "code-missing", detail)
    return spec


def limits_of(settings: Settings) -> CodeLimits:
    """How much code may be taken in at once."""
    return CodeLimits(
        bytes=settings.code_bytes, files=settings.code_files, path_bytes=settings.code_path_bytes
    )


def _committed(code: Code, folders: CodeFolders, settings: Settings) -> Code:
    git, commit = str(code.git), str(code.commit)
    origin: Path | str | None = git if "://" in git else repository_folder(git, settings)
    assert origin is not None  # allowed
    try:
        found, sha256 = take_commit(origin, commit, folders, settings.code, limits_of(settings))
    except (CodeRefused, CodeTooLarge) as error:
        raise _invalid("/commit", "code-refused", _in_words(error)) from error
    if code.sha256 not in (None, sha256):
        detail = f"code.sha256 = {code.sha256!r}: commit {found} has {sha256}; leave it out."
        raise _invalid("/sha256", "code-differs", detail)
    return Code(git=git, commit=found, sha256=sha256)


def _in_words(error: TunerError) -> str:
    return f"code: {error} {error.hint or ''}".strip()


def _invalid(below: str, code: str, detail: str) -> SpecInvalid:
    return SpecInvalid([Fault(pointer=f"/code{below}", code=code, detail=detail)])
