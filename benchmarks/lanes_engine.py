"""Trainings in one warm process: one after the other, and in lanes. No service."""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from benchmarks.lanes_tasks import Bench
from benchmarks.turns import Way, Work
from models.training.lanes.graph import Graph
from models.training.lanes.lanes import Lanes
from models.training.train import Epoch, train

#: By name, how so many lanes for the bench's trainings are made. Another way to run their program
#: is a line here.
LANES: Final[Mapping[str, Callable[[Bench, int], Lanes]]] = {
    "lanes": lambda bench, k: Lanes(
        bench.task.recipe(0), bench.data, capacity=k, device=bench.device
    ),
    "compiled lanes": lambda bench, k: Lanes(
        bench.task.recipe(0), bench.data, capacity=k, device=bench.device, graph=Graph("compile")
    ),
}
#: Of the names that not every number of lanes is worth the time: to compile takes half a minute.
ONLY: Final[Mapping[str, tuple[int, ...]]] = {"compiled lanes": (32, 256)}


def names_and_lanes(ks: Iterable[int]) -> list[tuple[str, int]]:
    """Which of `LANES` are made, and with how many lanes."""
    numbers = list(ks)
    return [(name, k) for name in LANES for k in numbers if k in ONLY.get(name, numbers)]


def warm_loop(bench: Bench, *, trainings: int) -> Work:
    """So many trainings one after the other, each with all its epochs."""
    done, began = 0, time.perf_counter()
    for number in range(trainings):
        for _epoch in train(bench.task.recipe(number), bench.data, device=bench.device):
            done += 1
    seconds = time.perf_counter() - began
    assert done == trainings * bench.task.epochs, done
    return Work(done, seconds)


def in_lanes(lanes: Lanes, bench: Bench) -> Work:
    """A training in every lane, from its admission to its last epoch. The lanes stay."""
    numbers, done, began = lanes.free, 0, time.perf_counter()
    for lane in numbers:
        lanes.admit(lane, bench.task.recipe(lane))
    for _ in range(bench.task.epochs):
        done += sum(isinstance(epoch, Epoch) for epoch in lanes.advance().values())
    for lane in numbers:
        lanes.evict(lane)
    seconds = time.perf_counter() - began
    assert done == len(numbers) * bench.task.epochs, done
    return Work(done, seconds)


def engine_ways(bench: Bench, ks: list[int]) -> dict[str, Way]:
    """The warm loop, itself again (what of a ratio is noise), and lanes; each has run once."""
    loop = partial(warm_loop, bench, trainings=bench.task.loop)
    warm_loop(bench, trainings=1)
    ways: dict[str, Way] = {"warm loop": loop, "warm loop again (A/A)": loop}
    for name, k in names_and_lanes(k for k in ks if k <= bench.task.most_lanes):
        lanes = LANES[name](bench, k)
        if lanes.why_eager is not None:
            print(f"{bench.task.name}, K = {k}: {lanes.why_eager}")
            continue
        in_lanes(lanes, bench)
        ways[f"{name}, K = {k}"] = partial(in_lanes, lanes, bench)
    return ways
