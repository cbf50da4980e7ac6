"""Which devices this host has for attempts: its cores, and its GPUs by NVIDIA's own library."""

import math
import os
import platform
from collections.abc import Mapping
from typing import Any

from models import cgroup
from tuner.slots import Device, Inventory


def inventory(environ: Mapping[str, str] = os.environ, *, most_cpus: float = math.inf) -> Inventory:
    """The devices this process may use, all free.

    Cores count as far as affinity, control group and `most_cpus` allow them; GPUs as far as
    CUDA_VISIBLE_DEVICES does. PyTorch is not imported, and CUDA not touched.
    """
    gpus = _gpus(environ.get("CUDA_VISIBLE_DEVICES"))
    return Inventory(host=platform.node(), devices=(_cpu(most_cpus), *gpus))


def _cpu(most: float) -> Device:
    cores = min(float(len(os.sched_getaffinity(0))), cgroup.cpu_quota(), most)
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    memory_bytes = min(float(pages * page_bytes), cgroup.memory_limit())
    return Device(
        name="cpu",
        kind="cpu",
        capacity=cores,
        free=cores,
        memory_mb=int(memory_bytes) >> 20,
        model=platform.processor() or platform.machine(),
    )


def _gpus(visible: str | None) -> tuple[Device, ...]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()  # no library, no driver, or no device
    try:
        return tuple(
            _gpu(pynvml, index)
            for index in range(pynvml.nvmlDeviceGetCount())
            if _is_visible(pynvml, index, visible)
        )
    finally:
        pynvml.nvmlShutdown()


def _is_visible(nvml: Any, index: int, visible: str | None) -> bool:
    if visible is None:
        return True
    uuid = nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByIndex(index))
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return any(name == str(index) or uuid.startswith(name) for name in names)


def _gpu(nvml: Any, index: int) -> Device:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    return Device(
        name=f"cuda:{index}",
        kind="cuda",
        capacity=1.0,
        free=1.0,
        memory_mb=nvml.nvmlDeviceGetMemoryInfo(handle).total >> 20,
        model=nvml.nvmlDeviceGetName(handle),
    )
