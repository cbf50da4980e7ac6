"""A folder on a client's side becomes an archive: what belongs to the code, and nothing else."""

import fnmatch
import gzip
import io
import tarfile
from pathlib import Path
from typing import IO, Final

from tuner.foreign.errors import CodeRefused
from tuner.foreign.manifest import Ignored, Manifest, manifest_of

#: Names more that are left out, a pattern a line.
IGNORE_FILE: Final = ".tunerignore"
#: What marks a folder as a Python of its own.
_VIRTUAL: Final = "pyvenv.cfg"


def code_of(folder: Path) -> Manifest:
    """What of `folder` is code: no hidden files, no bytecode, no virtual environment, and nothing
    that its ``.tunerignore`` names.

    Raises:
        CodeRefused: there is no such folder, nothing in it, or something that cannot be sent.
    """
    if not folder.is_dir():
        raise CodeRefused(f"There is no folder {folder}.", "Check its name.")
    manifest = manifest_of(folder, _ignored_in(folder))
    if not manifest.files:
        raise CodeRefused(f"In {folder} there is no code.", "Name the folder with the code in it.")
    return manifest


def pack(folder: Path, manifest: Manifest, target: IO[bytes]) -> None:
    """Write the files of the manifest to `target`, as a tar file packed by gzip.

    Raises:
        CodeRefused: a file is gone or became shorter.
    """
    with (
        gzip.GzipFile(fileobj=target, mode="wb", mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in manifest.files:
            member = tarfile.TarInfo(file.path)
            member.size, member.mode = file.bytes, 0o755 if file.executable else 0o644
            try:
                content = (folder / file.path).read_bytes()[: file.bytes]
            except FileNotFoundError:
                content = b""
            if len(content) < file.bytes:
                raise CodeRefused(f"{folder / file.path} changed meanwhile.", "Submit again.")
            archive.addfile(member, io.BytesIO(content))


def _ignored_in(folder: Path) -> Ignored:
    patterns = _patterns_of(folder / IGNORE_FILE)

    def ignored(path: str, is_folder: bool) -> bool:
        name = path.rpartition("/")[2]
        if name.startswith(".") or name.endswith(".pyc"):
            return True
        if is_folder and (folder / path / _VIRTUAL).is_file():
            return True
        return any(_matches(pattern, path, name, is_folder) for pattern in patterns)

    return ignored


def _patterns_of(file: Path) -> list[str]:
    if not file.is_file():
        return []
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    patterns = [line for line in lines if line and not line.startswith("#")]
    for pattern in patterns:
        if pattern.startswith("!") or "**" in pattern:
            raise CodeRefused(
                f"{file} has {pattern!r}, which is none of its patterns.",
                "A line is a name, NAME/ for folders only, or a path from the folder on; "
                "* stands for any text.",
            )
    return patterns


def _matches(pattern: str, path: str, name: str, is_folder: bool) -> bool:
    if pattern.endswith("/") and not is_folder:
        return False
    pattern = pattern.rstrip("/")
    if "/" in pattern:
        return fnmatch.fnmatchcase(path, pattern.lstrip("/"))
    return fnmatch.fnmatchcase(name, pattern)
