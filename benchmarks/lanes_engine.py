"""Trainings in one warm process: one after the other, and in lanes. No service."""

import time
from collections.abc import Callable, Mapping
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
#: To compile takes half a minute.
COMPILED_KS: Final = (32, 256)


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
    for name, made in LANES.items():
        for k in (k for k in ks if k <= bench.task.most_lanes):
            if name == "compiled lanes" and k not in COMPILED_KS:
                continue
            lanes = made(bench, k)
            if lanes.why_eager is not None:
                print(f"{bench.task.name}, K = {k}: {lanes.why_eager}")
                continue
            in_lanes(lanes, bench)
            ways[f"{name}, K = {k}"] = partial(in_lanes, lanes, bench)
    return ways
