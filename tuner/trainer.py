"""The service's own program: trains a catalogue model as one trial, or probes that it can."""

import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from models.catalog import DataRefused
from models.checkpoint import Checkpoint, CheckpointCorrupt, load_checkpoint, save_checkpoint
from models.data import Dataset, load
from models.export import rebuild, save_model
from models.held_out import held_out_results
from models.importing import PartRefused, is_import_path, path_complaint
from models.probe import probe as probe_model
from models.recipe import Recipe
from models.train import Diverged, Epoch, train
from tuner.protocol import Verdict
from tuner.states import Direction, Reason
from tuner.trial import Context, Outcome

#: Complete checkpoints kept while training: the newest, and one to fall back to.
GENERATIONS = 2
MODEL_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the order says."""

    recipe: Recipe
    metric: str
    direction: Direction
    artifacts: Path
    folder: str
    data_roots: tuple[str, ...]
    cache: Path
    #: Modules from which parts may be imported.
    allowed_code: tuple[str, ...]
    #: The last step the scheduler has heard of.
    reported: int

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Job":
        """The job in the payload of an order."""
        return cls(
            recipe=Recipe.from_json(payload["recipe"]),
            metric=payload["metric"],
            direction=Direction(payload["direction"]),
            artifacts=Path(payload["artifacts"]),
            folder=payload.get("folder", ""),
            data_roots=tuple(payload["roots"]),
            cache=Path(payload["cache"]),
            allowed_code=tuple(payload.get("allowed_code", ())),
            reported=payload.get("reported", 0),
        )

    def has_stalled(self, curve: Sequence[Mapping[str, float]]) -> bool:
        """Whether the last `early_stopping` epochs of a curve all brought nothing better."""
        patience = int(self.recipe.config.get("early_stopping", 0))
        best, waited = None, 0
        for metrics in curve:
            value = metrics.get(self.metric)
            if value is not None and self.direction.better(value, best):
                best, waited = value, 0
            else:
                waited += 1
        return 0 < patience <= waited

    def read_data(self, device: str) -> Dataset:
        """The data set, on `device`.

        Raises:
            DataRefused: it is missing, or cannot be used.
            PartRefused: code the recipe names may not be imported any more.
        """
        recipe = self.recipe
        check_allowed(recipe, self.allowed_code)
        return load(
            recipe.data,
            roots=self.data_roots,
            split_seed=recipe.split_seed,
            cache_dir=self.cache,
            device=device,
        )


def check_allowed(recipe: Recipe, allowed_code: tuple[str, ...]) -> None:
    """Refuse code that was allowed at submission and is no more.

    Raises:
        PartRefused: naming the code and the setting.
    """
    for name in (recipe.loss, recipe.optimizer, *recipe.config):
        complaint = path_complaint("part", name, allowed_code) if is_import_path(name) else None
        if complaint is not None:
            raise PartRefused(complaint)


def probe(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Read the data, build the default network and take one step: what fails here fails always."""
    job = Job.of(payload)
    try:
        facts = probe_model(job.recipe, job.read_data(context.device), device=context.device)
    except (DataRefused, PartRefused, Diverged) as error:
        return Outcome.failed(Reason.USER_ERROR, str(error))
    return Outcome.succeeded(0.0, facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best step so far and its value."""

    step: int | None = None
    value: float | None = None


def train_trial(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Train one trial from its newest whole checkpoint, or from the start; its value is its best.

    After every epoch it reports, saves while the scheduler thinks, and heeds the verdict. Epochs
    that were saved but not heard of, since the scheduler ended in between, are reported first.
    It may end before its last epoch, with the best it has: see `Job.has_stalled`.
    """
    job = Job.of(payload)
    files = Files(job)
    resume = files.newest()
    curve = list(resume.curve) if resume else []
    best = files.best_of(curve)
    epoch: Epoch | None = None
    try:
        for step, metrics in list(enumerate(curve, 1))[job.reported :]:
            context.report(step, metrics)
            if (end := _end(context, step, metrics.get(job.metric), best)) is not None:
                return end
        data = job.read_data(context.device)
        for epoch in _epochs(job, data, resume, context):
            context.report(epoch.index, epoch.metrics)
            best = files.save(epoch, best, context)
            if (end := _end(context, epoch.index, epoch.metrics.get(job.metric), best)) is not None:
                return end
            curve.append(epoch.metrics)
            if job.has_stalled(curve):
                break
    except Stopped as stop:
        return Outcome.stopped(stop.reason)
    except Diverged as error:
        return Outcome.failed(Reason.NAN, str(error))
    except (DataRefused, PartRefused) as error:
        return Outcome.failed(Reason.USER_ERROR, str(error))
    if best.value is None:
        return Outcome.failed(Reason.NO_RESULT, f"No epoch gave a {job.metric}.")
    files.export(best, epoch, data, context)
    return Outcome.succeeded(best.value, {"best_step": best.step})


def _epochs(
    job: Job, data: Dataset, resume: Checkpoint | None, context: Context
) -> Iterator[Epoch]:
    """The epochs that are still to be trained.

    Raises:
        Stopped: in the middle of one, since the scheduler asked to stop.
    """
    if resume is not None and job.has_stalled(resume.curve):
        return
    way = Way(context, resume.epoch + 1 if resume else 1)
    for epoch in train(job.recipe, data, resume=resume, device=context.device, progress=way.tell):
        way.step = epoch.index + 1
        yield epoch


class Stopped(Exception):
    """The scheduler asked to stop in the middle of an epoch."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"Stopped: {reason}.")
        self.reason = reason


@dataclass(slots=True)
class Way:
    """From one report to the next: tells how far it is, and ends where that is asked for.

    The epoch is lost then; the trial goes on from its last checkpoint, which is bit for bit what
    an undisturbed training would have been.
    """

    context: Context
    #: The step of the next report.
    step: int

    def tell(self, done: int, total: int, loss: float) -> None:
        """Say that `done` of `total` steps of the epoch are taken.

        Raises:
            Stopped: the scheduler has asked to stop.
        """
        if self.context.progress(self.step, done, total, {"train_loss": loss}) is Verdict.STOP:
            raise Stopped(self.context.stop_reason or Reason.CANCELLED)


def environment(device: str) -> dict[str, str]:
    """With what and on what a network was trained."""
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "tuner": version("tuner"),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "device": gpu or platform.machine() + " CPU",
    }


def _end(context: Context, step: int, value: float | None, best: Best) -> Outcome | None:
    """How the attempt ends if the verdict on `step` is that it does."""
    match context.verdict(step):
        case Verdict.PRUNE:
            return Outcome.pruned(value, {"best_step": best.step})
        case Verdict.STOP:
            return Outcome.stopped(context.stop_reason or Reason.CANCELLED)
        case Verdict.CONTINUE:
            return None


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
        network = rebuild(checkpoint).to(context.device)
        facts = {
            "test": held_out_results(network, data, checkpoint.recipe),
            "environment": environment(context.device),
        }
        size = save_model(self._folder / MODEL_FILE, checkpoint, facts)
        context.saved(best.step, f"{self._job.folder}/{MODEL_FILE}", size, best=True)

    def _better(self, best: Best, step: int, metrics: Mapping[str, float]) -> Best:
        value = metrics.get(self._job.metric)
        if value is not None and self._job.direction.better(value, best.value):
            return Best(step=step, value=value)
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
