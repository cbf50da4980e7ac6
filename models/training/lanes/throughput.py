"""How many lanes pay: rows learned from per second by one training alone, by 2 lanes, by 4, …"""

import time
from collections.abc import Iterator
from statistics import median
from typing import Final

import psutil
import torch

from models.data.loading import Dataset
from models.memory import available_memory
from models.recipe import Recipe
from models.training.lanes.lanes import Lanes
from models.training.single import Training

#: As often a step is timed, after those that warm up.
_STEPS: Final = 7
#: Twice as many lanes have to bring so much more, or they are not worth the memory, nor that more
#: trials start before the first of them has taught the sampler anything.
_WORTH: Final = 1.1
#: Of the memory that is free so much may be taken by twice the lanes; other workers want some.
_MEMORY_SHARE: Final = 0.25

Throughput = dict[int, float]


def measured(recipe: Recipe, data: Dataset, *, most: int, device: str = "cpu") -> Throughput:
    """Rows a second by number of lanes: 1 (a training alone), 2, 4, … as long as they pay.

    It ends at `most` lanes, where twice as many bring less than a tenth more, or before memory
    does. `data` must be on `device`.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        LaneRefused: such trainings go alone.
    """
    training = Training.begin(recipe, data, device)
    batch = training.batch_size
    found = {1: batch / alone_seconds(training, _STEPS)}
    for lanes in _doubled(most):
        before = _taken(device)
        try:
            each = Lanes(recipe, data, capacity=lanes, device=device)
            found[lanes] = lanes * batch / each.step_seconds(_STEPS)
        except torch.OutOfMemoryError:
            break
        grown = _taken(device) - before
        del each
        # Two lanes may lose to one, for what a program of lanes costs beside its lanes, and eight
        # win: it is over once more lanes bring no more.
        if lanes > 2 and found[lanes] < _WORTH * found[lanes // 2]:
            break
        if 2 * grown > _MEMORY_SHARE * _free(device):
            break
    return found


def best(found: Throughput) -> int:
    """As many lanes as pay: half as many bring less, and one training alone does, too."""
    lanes = 2
    while 2 * lanes in found and found[2 * lanes] >= _WORTH * found[lanes]:
        lanes *= 2
    return lanes if lanes in found and found[lanes] >= _WORTH * found[1] else 1


def _doubled(most: int) -> Iterator[int]:
    lanes = 2
    while lanes <= most:
        yield lanes
        lanes *= 2


def alone_seconds(training: Training, steps: int) -> float:
    """Seconds a step takes, the median of so many; the training is changed."""
    training.learner.model.train()
    rows = torch.arange(training.batch_size, device=training.data.train.labels.device)
    took = []
    with training.random.in_place():
        for _ in range(1 + steps):
            began = time.perf_counter()
            loss, _right = training.take_step(rows)
            loss.tolist()  # waits for a GPU
            took.append(time.perf_counter() - began)
    return median(took[1:])


def _taken(device: str) -> int:
    """Bytes of the device's memory that this process holds."""
    if device == "cpu":
        held: int = psutil.Process().memory_info().rss
        return held
    return torch.cuda.memory_reserved(device)


def _free(device: str) -> float:
    if device == "cpu":
        return available_memory()
    free: int = torch.cuda.mem_get_info(device)[0]
    return free
