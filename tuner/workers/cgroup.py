"""What this process's control group, of version 1 or 2, allows it: cores and memory."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_SELF: Final = Path("/proc/self/cgroup")


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
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _text(folder / name)
            if text and text != "max":
                limits.append(int(text))
    return min(limits)


def oom_kills(root: Path = _ROOT, own: Path = _SELF) -> int:
    """How many processes of the group the kernel has killed for want of memory."""
    for folder in _folders(root, own, "memory"):
        for name in ("memory.events", "memory.oom_control"):
            for line in _text(folder / name).splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


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
