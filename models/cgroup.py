"""What this process's control group, of version 1 or 2, allows it: cores and memory."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_SELF: Final = Path("/proc/self/cgroup")
#: The files that say how much memory a group may hold and holds, of versions 2 and 1.
_LIMITS: Final = (
    ("memory.max", "memory.current"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def cpu_quota(root: Path = _ROOT, own: Path = _SELF) -> float:
    """Cores the group may use at once; infinite where nothing limits them."""
    quotas = [math.inf]
    for folder in _folders(root, own, "cpu"):
        if text := _text(folder / "cpu.max"):
            quota, period = text.split()
            quotas.append(math.inf if quota == "max" else int(quota) / int(period))
        if text := _text(folder / "cpu.cfs_quota_us"):
            period = _text(folder / "cpu.cfs_period_us")
            quotas.append(int(text) / int(period) if int(text) > 0 and period else math.inf)
    return min(quotas)


def memory_limit(root: Path = _ROOT, own: Path = _SELF) -> float:
    """Bytes the group may hold; infinite where nothing limits them."""
    limits = [math.inf]
    for folder in _folders(root, own, "memory"):
        for name, _used in _LIMITS:
            text = _text(folder / name)
            if text and text != "max":
                limits.append(int(text))
    return min(limits)


def memory_free(root: Path = _ROOT, own: Path = _SELF) -> float:
    """Bytes the group may still take, pages of files it need not keep included.

    Infinite where nothing limits them.
    """
    free = [math.inf]
    for folder in _folders(root, own, "memory"):
        for limit_name, used_name in _LIMITS:
            limit, used = _text(folder / limit_name), _text(folder / used_name)
            if limit and limit != "max" and used:
                free.append(int(limit) - int(used) + _pages_of_files(folder))
    return max(0.0, min(free))


def _pages_of_files(folder: Path) -> int:
    """Bytes of files held in memory only because nobody else wanted it."""
    for line in _text(folder / "memory.stat").splitlines():
        name, _, count = line.partition(" ")
        if name == "inactive_file":
            return int(count)
    return 0


class OomKills:
    """Counts the processes of the group that the kernel has killed for want of memory."""

    def __init__(self, root: Path = _ROOT, own: Path = _SELF) -> None:
        files = (
            folder / name
            for folder in _folders(root, own, "memory")
            for name in ("memory.events", "memory.oom_control")
        )
        #: The nearest that counts. Looked for once: to find it takes a millisecond.
        self._file = next((file for file in files if _oom_kills(file) is not None), None)

    def count(self) -> int:
        """How many there were so far; 0 where nobody counts."""
        return 0 if self._file is None else _oom_kills(self._file) or 0


def _oom_kills(file: Path) -> int | None:
    for line in _text(file).splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return None


def _folders(root: Path, own: Path, controller: str) -> Iterator[Path]:
    """Our group's folder for the controller, then those above it."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        group = top / path.strip("/")
        # Inside a container the path may be the host's; the container's own group is the top.
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(top))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
