"""Files that arrive whole or not at all."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def save(pieces: Iterable[bytes], path: Path) -> Path:
    """Write the pieces to `path`; a transfer that breaks leaves what was there before."""
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).chmod(0o666 & ~_umask())
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return path


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
