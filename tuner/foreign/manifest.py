"""What a folder of code holds, and the name that follows from it: the same on every machine.

The name is the SHA-256 of the manifest's text, which has a line for each file, sorted by path:
``SHA256 BYTES x PATH``, with ``-`` in place of ``x`` where the file is not executable. Times,
owners, other permissions and empty folders have no say.
"""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tuner.foreign.errors import CodeRefused

#: Folders of what Python compiled: they come and go, and are never part of the code.
BYTECODE: Final = "__pycache__"
#: No code of a user's is imported in place of ours.
OWN: Final = "tuner"
_LINE: Final = re.compile(r"([0-9a-f]{64}) (\d+) ([x-]) (.+)")
#: What file systems take.
_MAX_NAME_BYTES: Final = 255
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

#: Whether a path below the folder, and whether it is a folder, is left out.
Ignored = Callable[[str, bool], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFile:
    """A file of a folder of code."""

    #: From the folder on, with ``/``.
    path: str
    bytes: int
    sha256: str
    executable: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a folder of code, by path."""

    files: tuple[CodeFile, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The manifest that `text` wrote.

        Raises:
            ValueError: none did.
        """
        lines = [_LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
        return cls(tuple(_file_of(match) for match in lines))

    @property
    def text(self) -> str:
        """A line for each file."""
        return "".join(
            f"{file.sha256} {file.bytes} {'x' if file.executable else '-'} {file.path}\n"
            for file in sorted(self.files, key=lambda file: file.path)
        )

    @property
    def sha256(self) -> str:
        """The name of a folder that holds these files."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that can be imported from the folder, without those below them."""
        found = {
            path.partition("/")[0].removesuffix(".py")
            for path in (file.path for file in self.files)
            if path.endswith(".py")
        }
        return tuple(sorted(name for name in found - {OWN} if name.isidentifier()))


def _file_of(match: re.Match[str] | None) -> CodeFile:
    if match is None:
        raise ValueError("no line of a manifest")
    sha256, size, mark, path = match.groups()
    return CodeFile(path=path, bytes=int(size), sha256=sha256, executable=mark == "x")


def is_sha256(text: str) -> bool:
    """Whether a folder of code may be called so."""
    return _SHA256.fullmatch(text) is not None


def manifest_of(folder: Path, ignored: Ignored = lambda path, is_folder: False) -> Manifest:
    """What `folder` holds, all files read.

    Raises:
        CodeRefused: something is neither file nor folder, or has a name that cannot be.
    """
    return Manifest(tuple(_counted(folder, path) for path in paths_in(folder, ignored)))


def paths_in(folder: Path, ignored: Ignored, below: str = "") -> Iterator[str]:
    """The paths of the files, sorted within each folder.

    Raises:
        CodeRefused: something is neither file nor folder, or has a name that cannot be.
    """
    with os.scandir(folder / below) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{below}{entry.name}"
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name == BYTECODE or ignored(path, is_folder):
            continue
        if (complaint := name_complaint(path)) is not None:
            raise CodeRefused(complaint)
        if is_folder:
            yield from paths_in(folder, ignored, f"{path}/")
        elif entry.is_file(follow_symlinks=False):
            yield path
        else:
            kind = "a link" if entry.is_symlink() else "neither a file nor a folder"
            raise CodeRefused(
                f"{path} is {kind}; code has files and folders only.",
                "Put the file in its place, or name it in .tunerignore.",
            )


def name_complaint(path: str) -> str | None:
    """What is wrong with the path of a file of code; it could mean another file elsewhere."""
    shown = ascii(path[:200])
    try:
        path.encode()
    except UnicodeEncodeError:
        return f"{shown} is a name of bytes that are no UTF-8."
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        return f"{shown} leads out of the folder."
    if "" in parts or "." in parts:
        return f"{shown} is a path with an empty part."
    if any(len(part.encode()) > _MAX_NAME_BYTES for part in parts):
        return f"{shown} has a name of more than {_MAX_NAME_BYTES} bytes."
    if "\\" in path or any(ord(c) < 32 or ord(c) == 127 or c in "\x85\u2028\u2029" for c in path):
        return f"{shown} has a backslash or a control character in its name."
    return None


def _counted(folder: Path, path: str) -> CodeFile:
    with (folder / path).open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        return CodeFile(
            path=path,
            sha256=hashlib.file_digest(file, "sha256").hexdigest(),
            bytes=file.tell(),
            executable=bool(mode & stat.S_IXUSR),
        )
