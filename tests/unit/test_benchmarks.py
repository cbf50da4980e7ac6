"""What benchmarks compute of their measurements, and that the GPU's runs in miniature on a CPU."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.figures import interval
from benchmarks.gpu_limits import Meter, Peaks, least_seconds, peaks
from benchmarks.lanes_engine import in_lanes, warm_loop
from benchmarks.lanes_tasks import TASKS, Stock
from benchmarks.same_best import within
from benchmarks.time_to_target import GOALS, Censored, Pair, ratio_of
from benchmarks.turns import Work, compared, ratios, take_turns
from models.training.lanes.lanes import Lanes

SMALL = replace(TASKS[0], epochs=1, loop=1)


def test_an_interval_holds_the_median_and_is_the_same_every_time() -> None:
    samples = [1.0, 1.1, 1.2, 1.3, 9.0]
    low, high = interval(samples)
    assert 1.0 <= low <= 1.2 <= high <= 9.0
    assert (low, high) == interval(samples)
    assert interval([2.0]) == (2.0, 2.0)


def test_an_interval_covers_the_median_of_nearly_all_samples() -> None:
    random = torch.Generator().manual_seed(0)
    drawn = torch.randn(200, 15, generator=random).tolist()
    covered = sum(low <= 0 <= high for low, high in (interval(s, draws=300) for s in drawn))
    assert 0.9 < covered / 200 <= 1.0


def test_ways_take_turns_forwards_and_backwards() -> None:
    order: list[str] = []

    def way(name: str, seconds: float) -> Work:
        order.append(name)
        return Work(10, seconds)

    ways = {
        "a": lambda: way("a", 1.0),
        "b": lambda: way("b", 0.5),
        "slow": lambda: way("slow", 4.0),
    }
    done = take_turns(ways, blocks=2, once={"slow"})
    assert order == ["a", "b", "slow", "b", "a"] * 2
    assert done["b"] == [Work(20, 1.0)] * 2
    assert done["slow"] == [Work(10, 4.0)] * 2
    assert ratios(done["b"], done["a"]) == [2.0, 2.0]
    assert compared(done["slow"], done["a"]) == ("2.5", "0.25×", "0.25 … 0.25")


def test_no_block_but_the_first_begins_too_late() -> None:
    done = take_turns({"a": lambda: Work(1, 1.0)}, blocks=5, until=0.0)
    assert len(done["a"]) == 1


@pytest.mark.parametrize(
    ("seconds", "censored"),
    [
        (3.0, Censored(3.0, reached=True)),
        (None, Censored(45.0, reached=False)),
        (46.0, Censored(45.0, reached=False)),
    ],
)
def test_a_search_that_does_not_get_there_counts_as_its_budget(
    seconds: float | None, censored: Censored
) -> None:
    assert Censored.of(seconds, 45.0) == censored


def test_the_ratio_of_times_is_of_each_seed() -> None:
    times = [(1.0, 3.0), (2.0, 2.0), (1.0, 5.0)]
    pairs = [
        Pair(GOALS[0], seed, Censored.of(ours, 45.0), Censored.of(theirs, 45.0))
        for seed, (ours, theirs) in enumerate(times)
    ]
    middle, low, high = ratio_of(pairs)
    assert (middle, low, high) == (3.0, 1.0, 5.0)


def test_differences_are_held_against_the_spread_of_seeds() -> None:
    difference, spread = within([(0.97, 0.98), (0.99, 0.98)])
    assert difference == pytest.approx(0.0)
    assert spread == pytest.approx(0.0141, abs=1e-4)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    return Stock(tmp_path_factory.mktemp("stock"))


def test_both_engines_do_the_same_work(stock: Stock) -> None:
    bench = stock.bench(SMALL)
    assert SMALL.parameters(bench.data.shape) == 3466
    assert warm_loop(bench, trainings=2).trial_epochs == 2
    lanes = Lanes(SMALL.recipe(0), bench.data, capacity=2)
    assert in_lanes(lanes, bench).trial_epochs == 2
    assert lanes.free == [0, 1]


def test_the_table_of_a_gpu_in_miniature(stock: Stock) -> None:
    words = ["--device", "cpu", "--ks", "1", "2", "--processes", "1", "--seconds", "0.05"]
    limits = peaks("cpu", side=64, numbers=1024)
    rows = gpu.measured(gpu.parsed(words), stock, SMALL, limits)
    assert [row[2] for row in rows] == ["warm loop", "1 process", "lanes, K = 1", "lanes, K = 2"]
    assert all(len(row) == len(gpu.HEADER) for row in rows)
    assert rows[0][4] == "1.00×"
    assert rows[1][6] == "1.00×"
    assert [row[7] for row in rows] == [""] * 4, "a CPU's load is not told"


def test_nothing_is_faster_than_a_device_at_its_best(stock: Stock) -> None:
    bench = stock.bench(SMALL)
    computing, moving = (
        least_seconds(bench, Peaks(1e12, 1e30)),
        least_seconds(bench, Peaks(1e30, 1e12)),
    )
    assert 0 < computing < 1
    assert 0 < moving < 1
    assert least_seconds(bench, Peaks(1e12, 1e12)) == max(computing, moving)
    with Meter("cpu") as meter:
        assert meter.busy is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_benchmark_says_so_and_fails() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "sees none on this machine" in done.stderr
    assert len(done.stderr.splitlines()) == 1
