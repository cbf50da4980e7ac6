"""The same trials with Ray Tune, in a process of its own; prints the seconds as JSON."""

import json
import tempfile
import time
from typing import Any

import ray
from ray import tune

from benchmarks.overhead import WORKERS, train_once


class Trainable(tune.Trainable):
    """The class API, whose actors can be used again for the next trial."""

    def setup(self, config: dict[str, Any]) -> None:
        self.lr = config["lr"]

    def step(self) -> dict[str, Any]:
        return {"accuracy": train_once(self.lr), "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing is kept between trials."""

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing was kept."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.lr = new_config["lr"]
        return True


def function(config: dict[str, Any]) -> None:
    """The function API, Ray's default."""
    tune.report({"accuracy": train_once(config["lr"])})


def main(count: int, reuse: bool) -> None:
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    tuner = tune.Tuner(
        Trainable if reuse else function,
        param_space={"lr": tune.loguniform(1e-4, 1e-1)},
        tune_config=tune.TuneConfig(
            num_samples=count,
            metric="accuracy",
            mode="max",
            reuse_actors=reuse,
            max_concurrent_trials=WORKERS,
        ),
        run_config=tune.RunConfig(verbose=0, storage_path=tempfile.mkdtemp()),
    )
    began = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - began
    assert len(results) == count
    assert not results.errors, results.errors
    print(json.dumps({"seconds": seconds}))
