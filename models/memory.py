"""How much memory this process may still take."""

import math
import resource

import psutil

from models import cgroup


def available_memory() -> int:
    """Bytes that are free for this process: the host's, as far as its control group allows."""
    host: int = psutil.virtual_memory().available
    group = cgroup.memory_free()
    return host if math.isinf(group) else min(host, int(group))


def peak_memory() -> int:
    """Bytes that this process has held at most, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
