"""How much memory this process may still take."""

import math

import psutil

from models import cgroup


def available_memory() -> int:
    """Bytes that are free for this process: the host's, as far as its control group allows."""
    host: int = psutil.virtual_memory().available
    group = cgroup.memory_free()
    return host if math.isinf(group) else min(host, int(group))
