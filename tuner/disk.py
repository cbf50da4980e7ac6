"""What the service's files take, and which of the cached files go when there is too much."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from tuner.artifacts.folder import files_below
from tuner.artifacts.places import COMPILED, JOBS, log_root
from tuner.artifacts.store import ArtifactStore, bytes_of
from tuner.errors import DiskFull
from tuner.settings import Settings

#: What the cache holds beside locks and files that are being written.
_CACHED: Final = (".safetensors", ".pt2", ".onnx")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """Bytes below `TUNER_HOME`, and how many there may be."""

    #: Checkpoints, networks and logs, and what trials of foreign code keep.
    artifacts: int
    artifacts_limit: int
    #: Decoded data, converted networks and compiled steps.
    cache: int
    cache_limit: int
    #: Uploaded data, which has no limit in all.
    datasets: int

    @property
    def full(self) -> bool:
        """Whether nothing new may start: artifacts take more than they may."""
        return self.artifacts > self.artifacts_limit


@contextmanager
def room(folder: Path) -> Iterator[None]:
    """Around what writes into `folder`: a full disk is an answer of its own, `DiskFull`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(str(folder)) from error
        raise


def measure(settings: Settings, store: ArtifactStore) -> DiskUse:
    """What there is now. Takes a few microseconds a file."""
    return DiskUse(
        artifacts=bytes_of(store.files(JOBS))
        + bytes_below(log_root(settings.artifacts))
        + bytes_below(settings.trial_folders),
        artifacts_limit=int(settings.disk_gb * 1e9),
        cache=bytes_below(settings.cache),
        cache_limit=int(settings.cache_gb * 1e9),
        datasets=bytes_below(settings.datasets),
    )


def bytes_below(folder: Path) -> int:
    """The sizes of all files below `folder`; 0 without it."""
    return sum(size for _, size in files_below(folder))


def trim_cache(folder: Path, limit: int, *, in_use_since: datetime | None) -> int:
    """Remove what was used longest ago, until at most `limit` bytes are left; the bytes removed.

    Whoever takes a file into use touches it: what was touched at `in_use_since` or later stays.
    """
    found = []
    for path in folder.rglob("*"):
        if _may_go(path, folder):
            with suppress(FileNotFoundError):
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
    excess, removed = sum(size for _, size, _ in found) - limit, 0
    for used_at, size, path in sorted(found):
        in_use = in_use_since is not None and used_at >= in_use_since.timestamp()
        if removed >= excess or in_use:
            break
        path.unlink(missing_ok=True)
        removed += size
    return removed


def _may_go(path: Path, cache: Path) -> bool:
    if path.parts[len(cache.parts)] == COMPILED:
        # One by one, too: what is missing is compiled again.
        return path.suffix != ".lock" and path.is_file()
    return path.suffix in _CACHED and not path.name.startswith(".")


def in_words(size: float) -> str:
    """``12.3 MB``, ``4.56 GB``: three significant digits, thousands of thousands."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
