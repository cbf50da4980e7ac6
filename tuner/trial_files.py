"""The files of one trial: its checkpoints while it trains, its network at the end."""

import math
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from models.data.loading import Dataset
from models.exported.export import rebuild, save_model
from models.exported.held_out import held_out_results
from models.training.checkpoint import (
    Checkpoint,
    CheckpointCorrupt,
    load_checkpoint,
    save_checkpoint,
)
from models.training.train import Epoch
from tuner.trial import Context
from tuner.trial_order import Job

#: Complete checkpoints kept while training: the newest, and one to fall back to.
GENERATIONS = 2
MODEL_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best step so far and its value; of equal values, as accuracies of few rows often are,
    that with the lowest validation loss."""

    step: int | None = None
    value: float | None = None
    loss: float = math.inf


class Files:
    """The checkpoints of one trial: the newest ones, and that of its best step."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._folder = job.artifacts / job.folder

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; damaged ones are said and removed."""
        for path in reversed(self._paths()):
            try:
                return load_checkpoint(path)
            except CheckpointCorrupt as error:
                print(f"falling back a generation: {error}", file=sys.stderr)  # noqa: T201
                path.unlink()
        return None

    def best_of(self, curve: Sequence[Mapping[str, float]]) -> Best:
        """The best step of a curve among those whose checkpoints were kept and are whole."""
        best = Best()
        for step, metrics in enumerate(curve, 1):
            better = self._better(best, step, metrics)
            if better is not best and self._is_whole(step):
                best = better
        return best

    def save(self, epoch: Epoch, best: Best, context: Context) -> Best:
        """Save the epoch, announce it, and remove what is neither new nor best."""
        job = self._job
        now_best = self._better(best, epoch.index, epoch.metrics)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(epoch.index)
        size = save_checkpoint(path, epoch.checkpoint())
        uri = f"{job.folder}/{path.name}"
        context.saved(epoch.index, uri, size, best=False)
        for old in self._paths()[:-GENERATIONS]:
            if now_best.step is None or old != self._path(now_best.step):
                old.unlink()
        return now_best

    def export(self, best: Best, last: Epoch | None, data: Dataset, context: Context) -> None:
        """Write and announce the network of the best step, as one takes it away.

        That of the `last` epoch is still in memory. How it does on the test split stands in the
        file and nowhere else: the search never hears of it.
        """
        assert best.step is not None
        if last is not None and last.index == best.step:
            checkpoint = last.checkpoint()
        else:
            checkpoint = load_checkpoint(self._path(best.step))
        facts: dict[str, Any] = {"test": None, "environment": environment(context.device)}
        if data.test is not None:
            network = rebuild(checkpoint).to(context.device)
            facts["test"] = held_out_results(network, data, checkpoint.recipe)
        size = save_model(self._folder / MODEL_FILE, checkpoint, facts)
        context.saved(best.step, f"{self._job.folder}/{MODEL_FILE}", size, best=True)

    def _better(self, best: Best, step: int, metrics: Mapping[str, float]) -> Best:
        value, loss = metrics.get(self._job.metric), metrics.get("val_loss", math.inf)
        if value is None:
            return best
        better = self._job.direction.better(value, best.value)
        if better or (value == best.value and loss < best.loss):
            return Best(step=step, value=value, loss=loss)
        return best

    def _path(self, step: int) -> Path:
        return self._folder / f"epoch-{step:06d}.safetensors"

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("epoch-*.safetensors"))

    def _is_whole(self, step: int) -> bool:
        try:
            load_checkpoint(self._path(step))
        except (CheckpointCorrupt, FileNotFoundError):
            return False
        return True


def environment(device: str) -> dict[str, str]:
    """With what and on what a network was trained."""
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "tuner": version("tuner"),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "device": gpu or platform.machine() + " CPU",
    }
