"""What a proposal costs after 100, 1,000 and 10,000 trials: this service's, and Optuna's TPE.

Each study is filled by replaying random trials of a space of eight parameters, of which two are
choices and two whole numbers; then it is asked so often, and told a value each time. Of ours the
ask is all that `JobStudy` does, of Optuna's it is `ask` and its `suggest_*` calls. The studies take
turns.

Prints the median ask, its interval, and its ratio to the one after 100 trials; then the least loss
that 1,000 trials found, where looking at 300 of them might have cost something.
"""

import argparse
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any, Final

import optuna

from benchmarks.figures import interval, surroundings, table
from models.hyperparameters import Choice, Integer, Real
from tuner.search.replaying import StoredTrial, replayed
from tuner.search.study import JobStudy
from tuner.search.translation import distributions_of
from tuner.search_spec import Search
from tuner.space import arranged
from tuner.states import Direction, TrialState

HISTORIES: Final = (100, 1000, 10_000)
LONG: Final = 1000
SEED: Final = 7
SPACE: Final = arranged(
    [
        Real(name="lr", low=1e-5, high=1e-1, default=1e-3, log=True),
        Real(name="decay", low=1e-6, high=1e-1, default=1e-4, log=True),
        Real(name="dropout", low=0.0, high=0.5, default=0.1),
        Real(name="warmup", low=0.0, high=0.2, default=0.05),
        Integer(name="width", low=16, high=512, default=128, log=True),
        Integer(name="depth", low=1, high=6, default=3),
        Choice(name="optimizer", choices=("sgd", "adamw", "rmsprop"), default="adamw"),
        Choice(name="activation", choices=("relu", "gelu"), default="relu"),
    ]
)
DISTRIBUTIONS: Final = distributions_of(SPACE)
#: Asks a study, tells it the value, and says how many milliseconds the ask took.
Turn = Callable[[], float]


def loss(params: Mapping[str, Any]) -> float:
    """A valley, less deep for some of the choices."""
    return (
        (math.log10(params["lr"]) + 3) ** 2
        + (params["dropout"] - 0.2) ** 2
        + abs(math.log2(params["width"] / 100))
        + (params["optimizer"] == "sgd")
    )


def history(count: int) -> list[StoredTrial]:
    """So many trials that were proposed at random."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    found = []
    for number in range(count):
        params = study.ask(dict(DISTRIBUTIONS)).params
        row = StoredTrial(
            number=number, state=TrialState.COMPLETED, params=params, value=loss(params)
        )
        found.append(row)
    return found


def ours(
    sampler: str, rows: list[StoredTrial], seed: int = SEED, losses: list[float] | None = None
) -> Turn:
    """A study of the service that knows these trials."""
    study = JobStudy(
        job="job_01BENCH",
        space=SPACE,
        directions=[Direction.MINIMIZE],
        search=Search.model_validate({"sampler": sampler, "pruner": "none"}),
        epochs=None,
        seed=seed,
    )
    losses = [] if losses is None else losses
    study.rebuild(rows, {})

    def turn() -> float:
        began = time.perf_counter()
        proposal = study.ask()
        took = time.perf_counter() - began
        losses.append(loss(proposal.params))
        study.tell(proposal.number, TrialState.COMPLETED, losses[-1])
        return 1e3 * took

    return turn


def optunas(rows: list[StoredTrial], seed: int = SEED, losses: list[float] | None = None) -> Turn:
    """Optuna's own study that knows these trials."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    losses = [] if losses is None else losses
    study.add_trials([replayed(row, DISTRIBUTIONS) for row in rows])

    def turn() -> float:
        began = time.perf_counter()
        trial = study.ask(dict(DISTRIBUTIONS))
        took = time.perf_counter() - began
        losses.append(loss(trial.params))
        study.tell(trial, losses[-1])
        return 1e3 * took

    return turn


def _least(sampler: str, seeds: int) -> list[float]:
    """The least loss of 1,000 trials, of each of so many seeds."""
    found = []
    for seed in range(seeds):
        turn_of = {"Optuna's TPE": optunas}.get(sampler) or partial(ours, sampler)
        losses: list[float] = []
        turn = turn_of([], seed=seed, losses=losses)
        for _ in range(LONG):
            turn()
        found.append(min(losses))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--asks", type=int, default=39)
    parser.add_argument("--seeds", type=int, default=6)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    turns: dict[tuple[str, int], Turn] = {}
    for count in HISTORIES:
        rows = history(count)
        turns["auto", count] = ours("auto", rows)
        turns["tpe", count] = ours("tpe", rows)
        turns["Optuna's TPE", count] = optunas(rows)
    # Where the Gaussian process still proposes, at its dearest.
    turns["auto", 60] = ours("auto", history(60))
    times: dict[tuple[str, int], list[float]] = {way: [] for way in turns}
    for _ in range(args.asks):
        for way, turn in turns.items():
            times[way].append(turn())
    print(surroundings())
    lines = []
    for (name, count), samples in sorted(times.items()):
        low, high = interval(samples)
        to = median(samples) / median(times[name, 100])
        lines.append(
            (name, f"{count:,}", f"{median(samples):.1f}", f"{low:.1f} … {high:.1f}", f"{to:.2f}×")
        )
    print(table(("sampler", "trials", "ask, ms", "95 %", "÷ after 100"), lines))
    print(f"\nleast loss of {LONG:,} trials, {args.seeds} seeds\n")
    least = {name: _least(name, args.seeds) for name in ("Optuna's TPE", "tpe", "auto")}
    rows_of_least = [
        (name, f"{median(found):.4f}", "{:.4f} … {:.4f}".format(*interval(found)))
        for name, found in least.items()
    ]
    print(table(("sampler", "median", "95 %"), rows_of_least))


if __name__ == "__main__":
    main()
