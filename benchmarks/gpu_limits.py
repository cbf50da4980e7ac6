"""What a device can do at best, and how much of it is used."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, Final

import torch

from benchmarks.lanes_tasks import Bench
from models.entries import catalog

#: Of a weight, how often a step with AdamW reads or writes a number: it is read going forward and
#: backward, its gradient is written, the update reads it, its gradient and two memories, and writes
#: it and the memories.
_PER_WEIGHT: Final = 2 + 1 + 4 + 3
#: Of what a layer leaves for an example: written, read going backward, and its gradient written.
_PER_ACTIVATION: Final = 3
_NUMBER_BYTES: Final = 4
#: Going backward takes twice the operations of going forward.
_FORWARD_AND_BACKWARD: Final = 3
_SAMPLE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most that was measured on a device in this very run, in float32."""

    flops_per_second: float
    bytes_per_second: float


def peaks(device: str, *, side: int = 8192, numbers: int = 1 << 28) -> Peaks:
    """Of a product of square matrices, and of copying so many numbers."""
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    flops = 2 * side**3 / _seconds(lambda: a @ b, device)
    source = torch.zeros(numbers, device=device)
    target = torch.empty_like(source)
    copied = 2 * numbers * _NUMBER_BYTES / _seconds(lambda: target.copy_(source), device)
    return Peaks(flops, copied)


def _seconds(work: Callable[[], object], device: str) -> float:
    took = []
    for _ in range(6):
        wait(device)
        began = time.perf_counter()
        work()
        wait(device)
        took.append(time.perf_counter() - began)
    middle: float = median(took[1:])
    return middle


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def least_seconds(bench: Bench, limits: Peaks) -> float:
    """An epoch of one training on a device that does nothing but arithmetic, or moving numbers.

    Whichever takes longer: the roofline (Williams et al., CACM 2009). Validation goes forward only.
    """
    task, shape = bench.task, bench.data.shape
    layers = list(catalog().models[task.model].layers(task.space, shape))
    flops, weights, activations = (
        sum(getattr(layer, name) for layer in layers)
        for name in ("flops", "parameters", "activations")
    )
    batch = int(task.shape["batch_size"])
    steps, val = shape.train_rows // batch, shape.val_rows
    numbers = steps * (_PER_WEIGHT * weights + _PER_ACTIVATION * activations * batch)
    moved = _NUMBER_BYTES * (numbers + weights + activations * val)
    computed = flops * (_FORWARD_AND_BACKWARD * steps * batch + val)
    return max(computed / limits.flops_per_second, moved / limits.bytes_per_second)


@dataclass(slots=True)
class Meter:
    """How busy a GPU is while the meter is entered, in percent; None of a CPU."""

    device: str
    samples: list[float] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def busy(self) -> float | None:
        """The mean so far: the share of time in which any kernel ran, as NVIDIA counts it."""
        return fmean(self.samples) if self.samples else None

    def __enter__(self) -> "Meter":
        if self.device != "cpu":
            self._over.clear()
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._thread is not None:
            self._over.set()
            self._thread.join()

    def _look(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        handle = _handle(pynvml, self.device)
        while not self._over.wait(_SAMPLE_S):
            self.samples.append(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        pynvml.nvmlShutdown()


def _handle(nvml: Any, device: str) -> Any:
    # By its id: torch and the driver count devices differently where some are hidden.
    uuid = torch.cuda.get_device_properties(device).uuid
    return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
