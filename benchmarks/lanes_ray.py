"""A job of the lanes' benchmark with Ray Tune, in a process of its own; prints its work as JSON."""

import json
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

from benchmarks.lanes_tasks import RATES, Task
from models.catalog import DataSource
from models.data.loading import Dataset, load
from models.training.train import train
from tuner.search.pruners import REDUCTION, first_rung

WORKERS = 2


@cache
def data_of(name: str, path: str | None, folder: str) -> Dataset:
    """Read once by each actor."""
    return load(DataSource(name=name, path=path), roots=(folder,), cache_dir=Path(folder))


class Trainable(tune.Trainable):
    """The class API, whose actors can be used again for the next trial; a step is an epoch."""

    def setup(self, config: dict[str, Any]) -> None:
        import torch

        torch.set_num_threads(1)
        self.reset_config(config)

    def step(self) -> dict[str, Any]:
        began = time.time()
        epoch = next(self.epochs)
        done = epoch.index == self.last
        return {"accuracy": epoch.metrics["val_accuracy"], "began": began, "done": done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing is kept between trials."""

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing was kept."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        task = Task(**new_config["task"])
        recipe = task.recipe(new_config["number"], lr=new_config["lr"], epochs=task.job_epochs)
        data = data_of(recipe.data.name, recipe.data.path, new_config["folder"])
        self.epochs, self.last = train(recipe, data), recipe.epochs
        return True


class Begin(tune.Callback):
    """When the first step of all began: what comes before it is Ray's start, and not counted."""

    at = float("inf")

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any
    ) -> None:
        self.at = min(self.at, result["began"])


def run(document: str) -> None:
    """The job of a task's JSON, with ASHA or without."""
    given = json.loads(document)
    task = Task(**given["task"])
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    asha = ASHAScheduler(
        max_t=task.job_epochs,
        grace_period=first_rung(task.job_epochs),
        reduction_factor=REDUCTION,
    )
    begin = Begin()
    tuner = tune.Tuner(
        Trainable,
        param_space={
            "task": given["task"],
            "folder": given["folder"],
            "number": tune.randint(0, 1_000_000),
            "lr": tune.loguniform(*RATES),
        },
        tune_config=tune.TuneConfig(
            num_samples=task.trials,
            metric="accuracy",
            mode="max",
            reuse_actors=True,
            max_concurrent_trials=WORKERS,
            scheduler=asha if given["pruner"] == "asha" else FIFOScheduler(),
        ),
        run_config=tune.RunConfig(
            verbose=0,
            storage_path=tempfile.mkdtemp(),
            callbacks=[begin],
            failure_config=tune.FailureConfig(fail_fast=True),
        ),
    )
    results = tuner.fit()
    seconds = time.time() - begin.at
    assert len(results) == task.trials
    assert not results.errors, results.errors
    epochs = sum(result.metrics["training_iteration"] for result in results)
    print(json.dumps({"trial_epochs": epochs, "seconds": seconds}))
