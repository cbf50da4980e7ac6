"""The files of one trial: its checkpoints while it trains, its network at the end."""

import math
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

import torch

from models.data.loading import Dataset
from models.exported.export import rebuild, seal_model
from models.exported.held_out import held_out_results
from models.training.checkpoint import (
    Checkpoint,
    CheckpointCorrupt,
    Sealer,
    open_checkpoint,
)
from models.training.train import Epoch
from tuner.artifacts.opening import open_store
from tuner.artifacts.store import ArtifactsUnavailable
from tuner.errors import ArtifactNotFound
from tuner.generations import Generation
from tuner.trial import Context
from tuner.trial_order import Job
from tuner.writing import Writer

#: Checkpoints of whole epochs kept while training: the newest, and one to fall back to. One amid an
#: epoch is kept beside them until the next is there.
GENERATIONS = 2
MODEL_FILE = "model.safetensors"
#: Writing 120 kB meanwhile took 0.7 ms of processor time more than at once, of 8.6 ms that all the
#: files of a trial of one epoch took: a thread begins, and two of them take turns. What is written
#: at once is written while the scheduler thinks about the report.
AT_ONCE_BYTES = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best step so far and its value; of equal values, as accuracies of few rows often are,
    that with the lowest validation loss."""

    step: int | None = None
    value: float | None = None
    loss: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A checkpoint that is in the store."""

    generation: Generation
    size_bytes: int
    #: The best step by then.
    best: int | None


class CheckpointsLost(Exception):
    """The trial has checkpoints, and every one is damaged."""


class Files:
    """The checkpoints of one trial: the newest ones, and that of its best step.

    A generation is written complete under a name of its own before it is announced, and what it
    supersedes is removed by the scheduler once the row names it. A context manager: at its end
    everything is written and announced.
    """

    def __init__(self, job: Job, context: Context, *, at_once_bytes: int = AT_ONCE_BYTES) -> None:
        """Smaller checkpoints than `at_once_bytes` are written before training goes on."""
        self._job = job
        self._at_once_bytes = at_once_bytes
        self._context = context
        self._store = open_store(job.artifacts)
        #: The checkpoints in the store, oldest first.
        self._kept: list[Generation] = []
        #: The best step by now.
        self._best: int | None = None
        self._writer: Writer[Written] = Writer()
        self._sealer = Sealer()
        #: What was written last; the next one is copied into its memory.
        self._copy: Checkpoint | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        if error is None:
            self.drain()

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; damaged ones are said and removed.

        Raises:
            CheckpointsLost: there were some, and none was whole.
        """
        found = self._in_store()
        damaged: list[str] = []
        for generation, size in reversed(found.items()):
            uri = self._uri(generation)
            try:
                checkpoint = open_checkpoint(self._store.read(uri), uri)
            except ArtifactNotFound:
                continue  # somebody removed it since it was listed
            except CheckpointCorrupt as error:
                print(f"falling back a generation: {error}", file=sys.stderr)  # noqa: T201
                damaged.append(uri)
                continue
            self._kept = [older for older in found if older <= generation]
            if damaged:
                self._context.saved(generation.epoch, uri, size, best=False)
                self._store.delete(damaged)
            return checkpoint
        self._store.delete(damaged)
        if damaged:
            raise CheckpointsLost(
                f"No checkpoint of the trial is whole, of {len(damaged)}; it starts over."
            )
        return None

    def best_of(self, curve: Sequence[Mapping[str, float]]) -> Best:
        """The best step of a curve among those whose checkpoints were kept and are whole."""
        best = Best()
        for step, metrics in enumerate(curve, 1):
            better = self._better(best, step, metrics)
            if better is not best and self._is_whole(step):
                best = better
        self._best = best.step
        return best

    def save(self, epoch: Epoch, best: Best) -> Best:
        """Copy the epoch's state and have it written while training goes on; the best by now.

        Raises:
            OSError, ArtifactsUnavailable: this checkpoint, or the one before, could not be written.
        """
        now_best = self._better(best, epoch.index, epoch.metrics)
        self._best = now_best.step
        # One at a time: whoever writes slower than it trains waits, and holds one copy, not many.
        self.drain()
        self._copy = epoch.checkpoint(self._copy)
        write = partial(self._write, self._copy, now_best.step)
        if sum(tensor.nbytes for tensor in self._copy.tensors.values()) < self._at_once_bytes:
            self._announce(write())
        else:
            self._writer.begin(write)
        return now_best

    def save_amid_epoch(self, state: Callable[[], Checkpoint]) -> None:
        """Write where a training stands that ends in the middle of an epoch.

        Where it cannot be written that is said, and no more: the last epoch's is there.

        Raises:
            OSError, ArtifactsUnavailable: the last epoch's could not be written.
        """
        self.drain()
        try:
            written = self._write(state().copied(), self._best)
        except (OSError, ArtifactsUnavailable) as error:
            print(f"goes on from its last epoch: {error}", file=sys.stderr)  # noqa: T201
        else:
            self._announce(written)

    def announce(self) -> None:
        """Announce what has been written meanwhile.

        Raises:
            OSError, ArtifactsUnavailable: it could not be written.
        """
        self._announce(self._writer.take(wait=False))

    def drain(self) -> None:
        """Wait until all is written, and announce it.

        Raises:
            OSError, ArtifactsUnavailable: it could not be written.
        """
        self._announce(self._writer.take(wait=True))

    def export(self, best: Best, last: Epoch | None, data: Dataset) -> None:
        """Write and announce the network of the best step, as one takes it away.

        That of the `last` epoch is still in memory. How it does on the test split stands in the
        file and nowhere else: the search never hears of it.
        """
        assert best.step is not None
        if last is not None and last.index == best.step:
            checkpoint = last.state()
        else:
            uri = self._uri(Generation(epoch=best.step))
            checkpoint = open_checkpoint(self._store.read(uri), uri)
        device = self._context.device
        facts: dict[str, Any] = {"test": None, "environment": environment(device)}
        if data.test is not None:
            network = rebuild(checkpoint).to(device)
            facts["test"] = held_out_results(network, data, checkpoint.recipe)
        uri = f"{self._job.folder}/{MODEL_FILE}"
        size = self._store.put(uri, *seal_model(checkpoint, facts))
        self._context.saved(best.step, uri, size, best=True)

    def _write(self, checkpoint: Checkpoint, best: int | None) -> Written:
        generation = Generation.of(checkpoint)
        size = self._store.put(self._uri(generation), *self._sealer.seal(checkpoint))
        return Written(generation=generation, size_bytes=size, best=best)

    def _announce(self, written: Written | None) -> None:
        """Say that it is there, and which files are neither new nor best any more."""
        if written is None:
            return
        amid = [kept for kept in self._kept if kept.step]
        self._kept.append(written.generation)
        whole = [kept for kept in self._kept if not kept.step]
        old = [kept for kept in whole[:-GENERATIONS] if kept.epoch != written.best] + amid
        self._kept = [kept for kept in self._kept if kept not in old]
        self._context.saved(
            written.generation.epoch,
            self._uri(written.generation),
            written.size_bytes,
            best=False,
            superseded=map(self._uri, old),
        )

    def _better(self, best: Best, step: int, metrics: Mapping[str, float]) -> Best:
        value, loss = metrics.get(self._job.metric), metrics.get("val_loss", math.inf)
        if value is None:
            return best
        better = self._job.direction.better(value, best.value)
        if better or (value == best.value and loss < best.loss):
            return Best(step=step, value=value, loss=loss)
        return best

    def _uri(self, generation: Generation) -> str:
        return f"{self._job.folder}/{generation.name}"

    def _in_store(self) -> dict[Generation, int]:
        """The size of each checkpoint, oldest first; removes what was only half written."""
        found: dict[Generation, int] = {}
        half_written = []
        for file in self._store.files(self._job.folder):
            name = file.uri.rpartition("/")[2]
            if name.startswith("."):
                half_written.append(file.uri)
            elif (generation := Generation.named(name)) is not None:
                found[generation] = file.size_bytes
        self._store.delete(half_written)
        return dict(sorted(found.items()))

    def _is_whole(self, step: int) -> bool:
        generation = Generation(epoch=step)
        if generation not in self._kept:
            return False
        uri = self._uri(generation)
        try:
            open_checkpoint(self._store.read(uri), uri)
        except (CheckpointCorrupt, ArtifactNotFound):
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
