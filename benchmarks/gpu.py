"""Lanes on a GPU, against one training after the other and against processes that share the GPU.

For every network: a warm loop in one process, the same in 1, 2, 4, 8 and 16 processes at once, and
lanes, up to 1,024. All of them train endless trainings that have begun, and epochs are counted for
some seconds; what a training takes to begin in a lane is a column of its own. Also: how busy the
GPU is, the memory a lane takes, and the share that is reached of what the GPU could do at best: its
fastest product of matrices or copy, measured in the same run (float32).

    python -m benchmarks.gpu [--nets small convnet] [--ks 1 8 64 256 1024] [--blocks 1]
                             [--processes 1 2 4 8 16] [--seconds 2] [--minutes 8]

Without a GPU it says so, and its exit code is 1.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from statistics import median
from threading import BrokenBarrierError
from typing import Any, Final

import torch

from benchmarks.figures import surroundings, table
from benchmarks.gpu_limits import Meter, Peaks, least_seconds, peaks
from benchmarks.lanes_engine import LANES, names_and_lanes
from benchmarks.lanes_tasks import TASKS, Bench, Stock, Task, stocked
from benchmarks.turns import Way, Work, compared, ratios, take_turns
from models.training.lanes.lanes import Lanes
from models.training.train import Epoch, train

LOOP: Final = "warm loop"
#: Of trainings that are stopped when the time is over.
ENDLESS: Final = 1_000_000
#: A process imports torch and opens the GPU; sixteen do so at once.
START_S: Final = 240.0
HEADER: Final = (
    *("network", "parameters", "way", "trial-epochs/s", f"÷ {LOOP}", "95 %"),
    *("÷ best of processes", "GPU busy", "MB a lane", "to begin, ms", "of roofline"),
)


def counted(epochs: Iterator[int], seconds: float) -> Work:
    """The epochs that end within the time, and that of the last one."""
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        done += next(epochs)
    return Work(done, took)


def one_after_another(bench: Bench) -> Iterator[int]:
    """A warm training, epoch by epoch."""
    epochs = train(bench.task.recipe(0), bench.data, device=bench.device)
    next(epochs)
    return (1 for _epoch in epochs)


def all_lanes(lanes: Lanes) -> Iterator[int]:
    """The epochs of all lanes' trainings, an epoch of each at a time."""
    while True:
        yield sum(isinstance(epoch, Epoch) for epoch in lanes.advance().values())


_START: list[Any] = []


def _enter(barrier: Any) -> None:
    torch.set_num_threads(1)
    _START.append(barrier)


def _loop(task: Task, stock: Stock, device: str, seconds: float) -> Work:
    (start,) = _START
    with ExitStack() as stack:
        # Or the others would wait for one that cannot begin.
        stack.callback(start.abort)
        epochs = one_after_another(stock.bench(task, device=device))
        start.wait(START_S)
        stack.pop_all()
    return counted(epochs, seconds)


def at_once(
    task: Task, stock: Stock, device: str, seconds: float, *, processes: int, meter: Meter
) -> Work:
    """So many processes, each with a warm loop of its own; what they do together."""
    context = get_context("spawn")
    start = context.Barrier(processes + 1)
    with ProcessPoolExecutor(processes, context, initializer=_enter, initargs=(start,)) as pool:
        each = [pool.submit(_loop, task, stock, device, seconds) for _ in range(processes)]
        with suppress(BrokenBarrierError):  # what broke it, the result tells
            start.wait(START_S)
        with meter:
            works = [future.result(START_S) for future in each]
    return Work(sum(work.trial_epochs for work in works), max(work.seconds for work in works))


@dataclass(slots=True)
class Side:
    """What is told of lanes beside their rate."""

    meter: Meter
    mb_a_lane: float | None = None
    ms_to_begin: float | None = None


def filled(name: str, bench: Bench, k: int, side: Side) -> Lanes:
    """Lanes with a training in each; what that took is noted."""
    held = _held(bench.device)
    lanes = LANES[name](bench, k)
    began = time.perf_counter()
    for lane in lanes.free:
        lanes.admit(lane, bench.task.recipe(lane))
    side.ms_to_begin = 1000 * (time.perf_counter() - began) / k
    next(all_lanes(lanes))
    if held is not None:
        side.mb_a_lane = (torch.cuda.max_memory_allocated(bench.device) - held) / k / 2**20
    return lanes


def _held(device: str) -> int | None:
    if device == "cpu":
        return None
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def metered(meter: Meter, work: Way) -> Work:
    """The work, while the meter looks on."""
    with meter:
        return work()


def measured(
    arguments: argparse.Namespace, stock: Stock, task: Task, limits: Peaks
) -> list[tuple[str, ...]]:
    """The rows of a network."""
    device, seconds = arguments.device, arguments.seconds
    bench = stock.bench(replace(task, epochs=ENDLESS), device=device)
    sides = {LOOP: Side(Meter(device))}
    loop = partial(counted, one_after_another(bench), seconds)
    ways: dict[str, Way] = {LOOP: partial(metered, sides[LOOP].meter, loop)}
    for count in arguments.processes:
        way = f"{count} processes" if count > 1 else "1 process"
        side = sides[way] = Side(Meter(device))
        ways[way] = partial(
            at_once, bench.task, stock, device, seconds, processes=count, meter=side.meter
        )
    processes = ways.keys() - {LOOP}
    for name, k in names_and_lanes(arguments.ks):
        side, way = Side(Meter(device)), f"{name}, K = {k}"
        try:
            epochs = all_lanes(filled(name, bench, k, side))
        except torch.OutOfMemoryError:
            print(f"{task.name}: {way} does not fit into the GPU's memory.")
            continue
        sides[way] = side
        ways[way] = partial(metered, side.meter, partial(counted, epochs, seconds))
    done = take_turns(ways, blocks=arguments.blocks, once=processes)
    best = max(processes, key=lambda way: _rate(done[way]), default=LOOP)
    return list(rows_of(bench, done, sides, best=best, least=least_seconds(bench, limits)))


def rows_of(
    bench: Bench,
    done: dict[str, list[Work]],
    sides: dict[str, Side],
    *,
    best: str,
    least: float,
) -> Iterator[tuple[str, ...]]:
    """Of each way a row; `best` is the best of the processes, `least` the seconds of an epoch."""
    where = (bench.task.name, f"{bench.task.parameters(bench.data.shape):,}")
    for way, works in done.items():
        side, of_best = sides[way], median(ratios(works, done[best]))
        busy, memory, begin = side.meter.busy, side.mb_a_lane, side.ms_to_begin
        asides = (_cell(busy, " %"), _cell(memory), _cell(begin), f"{least * _rate(works):.2%}")
        yield (*where, way, *compared(works, done[LOOP]), f"{of_best:.2f}×", *asides)


def _rate(works: Sequence[Work]) -> float:
    return sum(work.trial_epochs for work in works) / sum(work.seconds for work in works)


def _cell(value: float | None, unit: str = "") -> str:
    return "" if value is None else f"{value:.1f}{unit}"


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=["mlp, small", "mlp, large", "convnet"])
    parser.add_argument("--ks", type=int, nargs="+", default=[1, 8, 64, 256, 1024])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--device", default="cuda:0")
    return parser.parse_args(words)


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    arguments = parsed()
    if not torch.cuda.is_available():
        raise SystemExit(
            f"This measures a GPU, and torch {torch.__version__} sees none on this machine."
        )
    torch.set_num_threads(1)
    until = time.monotonic() + 60 * arguments.minutes
    limits = peaks(arguments.device)
    rows: list[tuple[str, ...]] = []
    with stocked() as stock:
        for task in (task for task in TASKS if task.name in arguments.nets):
            if rows and time.monotonic() > until:
                print(f"{task.name} is left out: the minutes are over.")
                continue
            rows += measured(arguments, stock, task, limits)
    print(
        f"{surroundings()}, torch {torch.__version__}, {torch.cuda.get_device_name()}: "
        f"{limits.flops_per_second / 1e12:.1f} TFLOP/s, {limits.bytes_per_second / 1e12:.2f} TB/s\n"
    )
    print(table(HEADER, rows))


if __name__ == "__main__":
    main()
