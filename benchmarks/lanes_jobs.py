"""Whole jobs of the lanes' benchmark: the service, with and without lanes, and others' ways."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final

import sqlalchemy as sa

from benchmarks.lanes_optuna import optuna_pool, with_optuna
from benchmarks.lanes_tasks import FASHION_FILE, RATES, Stock, Task
from benchmarks.service import serving
from benchmarks.turns import Way, Work
from tuner.client import Client
from tuner.db import Database, jobs, metrics, trials

#: Of one job: none here takes a tenth of it.
PATIENCE_S: Final = 600.0
#: The way all others are compared with.
BASE: Final = "this service, lanes 1"
RAY: Final = "Ray Tune, reuse_actors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What carries out jobs, running and warm."""

    stock: Stock
    client: Client
    database: Database
    pool: list[Connection]


@contextmanager
def standing(stock: Stock) -> Iterator[Stand]:
    """The service and Optuna's processes; ended on leaving."""
    with ExitStack() as stack:
        pool = stack.enter_context(optuna_pool())
        served = serving(TUNER_DATA_ROOTS=str(stock.folder), TUNER_CPUS="2")
        client, database, _ = stack.enter_context(served)
        yield Stand(stock=stock, client=client, database=database, pool=pool)


def job_ways(stand: Stand, task: Task, *, pruner: str) -> dict[str, Way]:
    """The ways of a job; `auto` has measured, and each of the service's workers has started."""
    service = partial(through_service, stand, task, pruner=pruner)
    service(lanes="auto")
    ways: dict[str, Way] = {
        BASE: partial(service, lanes=1),
        f"{BASE}, again (A/A)": partial(service, lanes=1),
        "this service, lanes auto": partial(service, lanes="auto"),
        "Optuna, two warm processes": partial(
            with_optuna, stand.pool, task, stand.stock.folder, pruner=pruner
        ),
    }
    if importlib.util.find_spec("ray") is not None:
        ways[RAY] = partial(with_ray, stand.stock, task, pruner=pruner)
    return ways


def spec_of(task: Task, *, lanes: int | str, pruner: str) -> dict[str, Any]:
    """The job, random search over the learning rate."""
    return {
        "model": task.model,
        "data": {"npz": FASHION_FILE} if task.data == "fashion" else task.data,
        "loss": "cross_entropy",
        "optimizer": "adamw",
        "metric": "val_accuracy",
        "space": {**task.space, "lr": {"float": list(RATES), "log": True}},
        "augment": "none",
        "budget": {"trials": task.trials, "epochs": task.job_epochs},
        "search": {"sampler": "random", "pruner": pruner, "seed": 0},
        "resources": {"lanes": lanes},
    }


def through_service(stand: Stand, task: Task, *, lanes: int | str, pruner: str) -> Work:
    """A job from its submission to its end, the probe and all files included."""
    began = time.perf_counter()
    job = stand.client.submit(spec_of(task, lanes=lanes, pruner=pruner)).wait(PATIENCE_S)
    seconds = time.perf_counter() - began
    counts = job.view.counts
    assert counts.completed + counts.pruned == task.trials, f"{job.state}: {counts}"
    done = epochs_of(stand.database, job.id)
    assert pruner != "none" or done == task.trials * task.job_epochs, done
    return Work(done, seconds)


def epochs_of(database: Database, job: str) -> int:
    """The epochs that the job's trials have reported."""
    query = (
        sa.select(sa.func.count())
        .select_from(metrics.join(trials).join(jobs))
        .where(jobs.c.ulid == job)
    )
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())


def with_ray(stock: Stock, task: Task, *, pruner: str) -> Work:
    """In a process of its own: what it leaves running would disturb the others."""
    given = {"task": asdict(task), "folder": str(stock.folder), "pruner": pruner}
    code = f"import benchmarks.lanes_ray as r; r.run({json.dumps(given)!r})"
    path = os.pathsep.join(p for p in (os.getcwd(), os.environ.get("PYTHONPATH")) if p)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "RAY_DEDUP_LOGS": "0"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    work = Work(**json.loads(done.stdout.splitlines()[-1]))
    assert pruner != "none" or work.trial_epochs == task.trials * task.job_epochs, work
    return work
