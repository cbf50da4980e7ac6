"""Archives of code, good ones and others, made in memory."""

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: Room for what tests take in.
LIMITS: Mapping[str, int] = {"bytes": 10_000, "files": 20, "path_bytes": 100}


def member(name: str, content: bytes = b"", **facts: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A file of an archive; `facts` are attributes of its entry, whatever they claim."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in facts.items():
        setattr(info, key, value)
    return info, content


def tar(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """A tar file of these members."""
    target = io.BytesIO()
    with tarfile.open(
        fileobj=target, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape"
    ) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content) if content else None)
    return target.getvalue()


def tar_of(files: Mapping[str, str | bytes]) -> bytes:
    """A tar file of these files."""
    contents = {
        name: text.encode() if isinstance(text, str) else text for name, text in files.items()
    }
    return tar(member(name, content) for name, content in contents.items())


def zipped(content: bytes) -> bytes:
    """The content, packed by gzip."""
    return gzip.compress(content, 6, mtime=0)


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """A folder with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_bytes_of(text))
    return folder


def _bytes_of(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
