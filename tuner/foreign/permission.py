"""Whether this server takes code of others: its settings say so, at submission and at a start."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tuner.foreign.errors import CodeNotFound
from tuner.foreign.folders import CodeFolders
from tuner.foreign.origin import Code
from tuner.settings import Settings
from tuner.spec import JobSpec

#: Without a user's name, a query or an escape, which say one address and mean another.
_ADDRESS: Final = re.compile(r"https://[A-Za-z0-9][A-Za-z0-9._~:/+-]*")


def code_complaint(code: Code, settings: Settings) -> str | None:
    """What is wrong with this origin of code here; None where nothing is."""
    if code.git is not None:
        return repository_complaint(code.git, settings)
    return upload_complaint(settings)


def upload_complaint(settings: Settings) -> str | None:
    """What is wrong with uploaded code here; None where nothing is."""
    if settings.allow_uploaded_code:
        return None
    return (
        "This server runs no uploaded code: set TUNER_ALLOW_UPLOADED_CODE=1 and start it again, or "
        "name modules that its TUNER_ALLOWED_CODE lists."
    )


def repository_complaint(git: str, settings: Settings) -> str | None:
    """What is wrong with code from this repository here; None where nothing is."""
    if "://" in git:
        if any(_is_below(git, prefix) for prefix in settings.allowed_git):
            return None
        listed = ", ".join(settings.allowed_git)
        taken = f"commits from {listed} only" if listed else "no commits by address"
        return f"git {git!r}: this server takes {taken}, as its setting TUNER_ALLOWED_GIT says."
    if repository_folder(git, settings) is not None:
        return None
    return (
        f"git {git!r} is no folder below those of this server's setting TUNER_CODE_ROOTS; name a "
        "repository that is."
    )


def repository_folder(git: str, settings: Settings) -> Path | None:
    """The folder `git` below a code root, links resolved; None where there is none."""
    for root in settings.repository_roots:
        with suppress(ValueError, OSError):  # what no file system takes for a name
            folder = (root / git).resolve()
            if folder.is_relative_to(root) and folder.is_dir():
                return folder
    return None


def allowed_modules(spec: JobSpec, settings: Settings) -> tuple[str, ...]:
    """The modules from which `spec` may name parts: those of the setting, and of its own code."""
    if spec.code is None or spec.code.sha256 is None or code_complaint(spec.code, settings):
        return settings.allowed_code
    try:
        own = CodeFolders(settings.code).manifest(spec.code.sha256).modules
    except CodeNotFound:
        own = ()
    return (*settings.allowed_code, *own)


def code_order(code: Code | None, settings: Settings) -> Mapping[str, Any] | None:
    """What a worker is told of a job's code; see `tuner.foreign.entering.enter_code`."""
    if code is None or code.sha256 is None:
        return None
    return {
        "sha256": code.sha256,
        "folder": str(CodeFolders(settings.code).folder(code.sha256)),
        "refused": code_complaint(code, settings),
    }


def _is_below(address: str, prefix: str) -> bool:
    """Whether `address` is `prefix`, or below it; nothing in it leads elsewhere."""
    plain = _ADDRESS.fullmatch(address) is not None and ".." not in address.split("/")
    return plain and f"{address}/".startswith(f"{prefix.rstrip('/')}/")
