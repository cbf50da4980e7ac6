"""Which batch sizes are worth a try: what fits into memory, and what brings more rows a second."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from models.data.loading import Dataset
from models.memory import available_memory, peak_memory
from models.recipe import Recipe
from models.training.entry import MIN_STEPS, batch_sizes, usual_batch_size
from models.training.lanes.throughput import alone_seconds
from models.training.single import Training

#: As often a step of each size is timed, after one that warms up.
_STEPS: Final = 5
#: Larger batches than the usual ones have to bring so many more rows a second than half as large
#: ones: they take fewer steps.
_WORTH: Final = 1.1
#: Seconds after which no larger size is looked at.
MOST_SECONDS: Final = 10.0
#: Of a host's memory that is free so much may be taken; other workers want some.
_MEMORY_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSizes:
    """What a batch probe found."""

    #: Powers of two, smallest first; none where not even the smallest fits.
    choices: tuple[int, ...]
    #: The usual one, or the largest if that is less.
    default: int
    #: Training rows learned from per second, by every size that was measured.
    rows_per_second: dict[int, float]
    #: Why there are no larger ones, as a sentence.
    reason: str

    def to_json(self) -> dict[str, Any]:
        """``choices`` and ``default``, if there are any; ``reason`` and ``rows_per_second``."""
        rates = {str(size): round(rate) for size, rate in self.rows_per_second.items()}
        found = {"choices": [*self.choices], "default": self.default} if self.choices else {}
        return found | {"reason": self.reason, "rows_per_second": rates}


def batch_probe(
    recipe: Recipe,
    data: Dataset,
    *,
    device: str = "cpu",
    halvings: int = 0,
    memory: float | None = None,
) -> BatchSizes:
    """Which batch sizes are worth a try, whatever size the recipe says.

    From the catalogue's smallest on the size is doubled: as long as an epoch has `MIN_STEPS` steps,
    as a batch fits into `memory`, in bytes, and as a size beyond the usual one brings a tenth more
    rows a second. Without `memory`, a CPU's batches may take a quarter of what is free, and a GPU's
    what there is. `data` must be on `device`; a part of a batch that is in memory at once is halved
    `halvings` times.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        DataRefused: the loss does not take such labels.
        PartRefused: a part by import path is not there, or not what it should be.
    """
    usual = usual_batch_size(data.train.rows)
    room = memory or (_MEMORY_SHARE * available_memory() if device == "cpu" else math.inf)

    def rate(size: int) -> float:
        sized = replace(recipe, config={**recipe.config, "batch_size": size})
        training = Training.begin(sized, data, device)
        training.halve_parts(halvings)
        return size / alone_seconds(training, _STEPS)

    found: dict[int, float] = {}
    reason = _measure(found, rate, rows=data.train.rows, room=room, device=device)
    choices = tuple(size for size in found if _pays(size, found, usual))
    default = min((usual, *choices[-1:]))
    return BatchSizes(choices=choices, default=default, rows_per_second=found, reason=reason)


def _measure(
    found: dict[int, float],
    rate: Callable[[int], float],
    *,
    rows: int,
    room: float,
    device: str,
) -> str:
    """Put the `rate` of one size after the other into `found`; why there are no more, in words."""
    before, began = _peak(device), time.perf_counter()
    for size in _sizes(rows):
        try:
            found[size] = rate(size)
        except torch.OutOfMemoryError:
            return f"A batch of {size} does not fit into memory."
        if not _pays(size, found, usual_batch_size(rows)):
            return f"A batch of {size} brings less than a tenth more rows a second."
        if 2 * (_peak(device) - before) > room:
            return f"A batch of {2 * size} may not fit into memory."
        if time.perf_counter() - began > MOST_SECONDS:
            return f"There was no time to look at a batch of {2 * size}."
    return f"With larger batches an epoch has fewer than {MIN_STEPS} steps."


def _sizes(rows: int) -> Iterator[int]:
    """The catalogue's smallest, and its doubles as far as the rows go."""
    size = batch_sizes(rows)[0]
    yield size
    while 2 * size * MIN_STEPS <= rows:
        size *= 2
        yield size


def _pays(size: int, found: Mapping[int, float], usual: int) -> bool:
    """Whether a size is worth a try for its speed; up to the usual one every size is."""
    return size <= usual or found[size] >= _WORTH * found[size // 2]


def _peak(device: str) -> int:
    """Bytes of the device's memory that this process has held at most."""
    if device == "cpu":
        return peak_memory()
    return torch.cuda.max_memory_allocated(device)
