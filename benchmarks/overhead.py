"""What a trial costs beside its training: this service against the usual ways to run trials.

Every way trains the same 50-step trial: an MLP on the digits, one epoch of batches of 28. The
figure is worker time that was not training: (wall × workers − training) / trials. Training is the
same trial in as many warm processes that do nothing else, measured in the same run: two that train
at once on the two threads of one core take longer than one, whoever starts them.

    python -m benchmarks.overhead [--trials 60] [--blocks 3]

Ray Tune is measured where it is installed (`pip install "ray[tune]"`).
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import sqlalchemy as sa

from benchmarks.figures import surroundings, table
from benchmarks.fixed import FIXED
from benchmarks.service import serving
from tuner.db import jobs, trials

WORKERS = 2
RECIPE = {
    "model": "mlp",
    "loss": "cross_entropy",
    "optimizer": "adamw",
    "data": "digits",
    "epochs": 1,
    "seed": 0,
}
SPACE = {**FIXED, "batch_size": 28, "depth": 2, "width": 64, "normalisation": "batch"}
CACHE = Path(tempfile.gettempdir()) / "tuner-bench-cache"


def train_once(lr: float) -> float:
    """One trial: 51 AdamW steps and a validation; the validation accuracy."""
    import torch

    from models.data.loading import load
    from models.recipe import Recipe
    from models.training.train import train

    torch.set_num_threads(1)
    recipe = Recipe(config={**SPACE, "lr": lr}, **RECIPE)
    (epoch,) = train(recipe, load("digits", cache_dir=CACHE))
    return float(epoch.metrics["val_accuracy"])


def warm_loops(count: int, workers: int) -> float:
    """Seconds per trial in so many warm processes at once: nothing but training."""
    context = get_context("spawn")
    start, seconds = context.Barrier(workers), context.SimpleQueue()
    each = [context.Process(target=_train, args=(count, start, seconds)) for _ in range(workers)]
    for process in each:
        process.start()
    for process in each:
        process.join()
    return statistics.fmean(seconds.get() for _ in each)


def _train(count: int, start: Barrier, seconds: "SimpleQueue[float]") -> None:
    train_once(0.01)
    start.wait()
    began = time.perf_counter()
    for _ in range(count):
        train_once(0.01)
    seconds.put((time.perf_counter() - began) / count)


def objective(trial: "optuna.Trial") -> float:  # noqa: F821
    return train_once(trial.suggest_float("lr", 1e-4, 1e-1, log=True))


def optuna_in_memory(count: int) -> float:
    """`study.optimize` in one process."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    train_once(0.01)
    began = time.perf_counter()
    study.optimize(objective, n_trials=count)
    return time.perf_counter() - began


def _optimize(url: str, count: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name="s", storage=url)
    study.optimize(objective, n_trials=count)


def optuna_on_sqlite(count: int) -> float:
    """Optuna's own way to run in parallel: two processes on one SQLite file, start included."""
    import optuna

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/s.db"
        optuna.create_study(study_name="s", storage=url)
        context = get_context("spawn")
        began = time.perf_counter()
        each = [context.Process(target=_optimize, args=(url, count // WORKERS)) for _ in range(2)]
        for process in each:
            process.start()
        for process in each:
            process.join()
        return time.perf_counter() - began


def python_per_trial(count: int) -> float:
    """A new interpreter for every trial, two at once."""
    code = "from benchmarks.overhead import train_once; train_once(0.01)"
    began = time.perf_counter()
    running: list[subprocess.Popen[bytes]] = []
    for _ in range(count):
        if len(running) == WORKERS:
            running.pop(0).wait()
        running.append(subprocess.Popen([sys.executable, "-c", code]))
    for process in running:
        process.wait()
    return time.perf_counter() - began


def this_service(count: int) -> float:
    """Submitted over HTTP; counted in the database, first start to last end."""
    spec = {
        "model": "mlp",
        "data": "digits",
        "loss": "cross_entropy",
        "optimizer": "adamw",
        "space": SPACE,
        "budget": {"trials": count, "epochs": 1},
        "search": {"sampler": "random", "pruner": "none", "seed": 0},
        "parallel": WORKERS,
    }
    with serving() as (client, database, _):
        client.submit({**spec, "budget": {"trials": 4, "epochs": 1}}).wait(timeout_s=120)
        job = client.submit(spec).wait(timeout_s=600)
        with database.reading() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.ulid == job.id)).mappings().one()
            first, last, done = connection.execute(
                sa.select(
                    sa.func.min(trials.c.started_at),
                    sa.func.max(trials.c.finished_at),
                    sa.func.count(),
                ).where(trials.c.job_id == row["id"], trials.c.state == "completed")
            ).one()
        assert done == count, f"{done} of {count} trials completed"
        return float((last - first).total_seconds())


def _ray(count: int, *, reuse: bool) -> float:
    code = f"import benchmarks.ray_tune as r; r.main({count}, {reuse})"
    env = {**os.environ, "PYTHONPATH": os.getcwd(), "RAY_DEDUP_LOGS": "0"}
    output = subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
    ).stdout
    return float(json.loads(output.splitlines()[-1])["seconds"])


#: Name → (trials for a run of 60, workers, seconds for so many trials).
WAYS: dict[str, tuple[int, int, Callable[[int], float]]] = {
    "this service": (60, WORKERS, this_service),
    "Optuna, one process, in memory": (60, 1, optuna_in_memory),
    "Optuna, two processes on SQLite": (60, WORKERS, optuna_on_sqlite),
    "a python per trial": (10, WORKERS, python_per_trial),
    "Ray Tune, reuse_actors": (60, WORKERS, lambda count: _ray(count, reuse=True)),
    "Ray Tune, default": (10, WORKERS, lambda count: _ray(count, reuse=False)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--blocks", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    ways = dict(WAYS)
    if importlib.util.find_spec("ray") is None:
        ways = {name: way for name, way in ways.items() if not name.startswith("Ray")}
    pure: dict[int, list[float]] = {1: [], WORKERS: []}
    overheads: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.blocks):
        for workers, samples in pure.items():
            samples.append(warm_loops(40, workers))
        for name, (share, workers, seconds) in ways.items():
            count = max(2, arguments.trials * share // 60)
            per_trial = seconds(count) * workers / count
            overheads[name].append(1000 * (per_trial - pure[workers][-1]))
    ours = statistics.median(overheads["this service"])
    print(surroundings())
    for workers, samples in pure.items():
        print(
            f"training alone, {workers} at once: {1000 * statistics.median(samples):.1f} ms a trial"
        )
    print()
    rows = [
        (
            name,
            f"{statistics.median(samples):.1f}",
            f"{min(samples):.1f} … {max(samples):.1f}",
            f"{statistics.median(samples) / ours:.1f}×",
        )
        for name, samples in overheads.items()
    ]
    print(table(("way", "overhead, ms a trial", "range", "÷ this service"), rows))


if __name__ == "__main__":
    main()
