"""The service's own program: trains a catalogue model as one trial, or probes that it can."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from models.catalog import DataRefused
from models.data.loading import Dataset
from models.importing import PartRefused
from models.training.checkpoint import Checkpoint
from models.training.lanes.graph import EAGER
from models.training.lanes.lanes import LaneRefused
from models.training.probe import probe as probe_model
from models.training.train import Diverged, Epoch, Interrupted, train
from tuner.foreign.grounding import timed_import
from tuner.measured_lanes import lanes_facts
from tuner.measured_ranges import found_ranges, in_range
from tuner.protocol import Verdict
from tuner.shared_lanes import LanesExceedMemory, LanesFailed, SharedLanes
from tuner.states import Reason
from tuner.trial import Context, Outcome
from tuner.trial_files import Best, CheckpointsLost, Files
from tuner.trial_order import Job, import_paths

#: What is the matter with a CUDA graph where the device is the CPU.
NO_GPU: Final = (
    "resources.graph = 'cudagraph': it wants a GPU, and this job's trials have none. Ask for "
    "compile, or leave it at auto."
)


def probe(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Read the data, build the default network and take one step: what fails here fails always.

    First the ranges are found that nobody knows, since a first step may want them.
    """
    job = Job.of(payload)
    if job.graph == "cudagraph" and context.device == "cpu":
        return Outcome.failed(Reason.USER_ERROR, NO_GPU)
    try:
        of_code = timed_import(job.import_code)[1] if import_paths(job.recipe) else {}
        if (why := job.misfit()) is not None:
            return Outcome.failed(Reason.USER_ERROR, why)
        data = job.read_data(context.device)
        ranges = found_ranges(job, data, device=context.device)
        job = replace(job, recipe=in_range(job.recipe, ranges))
        facts = probe_model(job.recipe, data, device=context.device, halvings=job.halvings)
        facts |= lanes_facts(job, data, device=context.device)
        facts |= of_code | ({"ranges": ranges} if ranges else {})
    except (DataRefused, PartRefused, Diverged) as error:
        return Outcome.failed(Reason.USER_ERROR, str(error))
    return Outcome.succeeded(0.0, facts)


def train_trial(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Train one trial from its newest whole checkpoint, or from the start; its value is its best.

    After every epoch it reports, has a checkpoint written (a large one while it goes on), and heeds
    the verdict.
    Epochs that were saved but not heard of, since the scheduler ended in between, are reported
    first. It may end before its last epoch, with the best it has: see `Job.has_stalled`. When it
    has ended, all that it saved is complete.
    """
    job = Job.of(payload)
    with Files(job, context) as files:
        return _outcome(job, files, context)


def _outcome(job: Job, files: Files, context: Context) -> Outcome:
    try:
        return _train(job, files, context)
    except Stopped as stop:
        if stop.state is not None and stop.reason is Reason.PREEMPTED:
            files.save_amid_epoch(stop.state)
        return Outcome.stopped(stop.reason)
    except LanesExceedMemory as error:
        return Outcome.stopped(Reason.PREEMPTED, facts={"lanes": error.fitting})
    except LanesFailed as error:
        # A fault of the worker's: the trial goes on alone, and fails there if it is its own.
        return Outcome.failed(Reason.CRASHED, f"What its worker trained together raised {error}")
    except Diverged as error:
        return Outcome.failed(Reason.NAN, str(error))
    except (DataRefused, PartRefused) as error:
        return Outcome.failed(Reason.USER_ERROR, str(error))
    except CheckpointsLost as error:
        return Outcome.failed(Reason.CHECKPOINT_CORRUPT, str(error))


def _train(job: Job, files: Files, context: Context) -> Outcome:
    resume = files.newest()
    curve = list(resume.curve) if resume else []
    best = files.best_of(curve)
    epoch: Epoch | None = None
    for step, metrics in list(enumerate(curve, 1))[job.reported :]:
        context.report(step, metrics)
        if (end := _end(context, step, metrics.get(job.metric), best)) is not None:
            return end
    if (why := job.misfit()) is not None:
        return Outcome.failed(Reason.INFEASIBLE, why)
    data = _data(job, context)
    for epoch in _epochs(job, data, resume, Way(context, files)):
        context.report(epoch.index, epoch.metrics)
        best = files.save(epoch, best)
        if (end := _end(context, epoch.index, epoch.metrics.get(job.metric), best)) is not None:
            return end
        curve.append(epoch.metrics)
        if job.has_stalled(curve):
            break
    if best.value is None:
        return Outcome.failed(Reason.NO_RESULT, f"No epoch gave a {job.metric}.")
    if job.is_kept(best.value):
        files.export(best, epoch, data)
    return Outcome.succeeded(best.value, {"best_step": best.step})


def _data(job: Job, context: Context) -> Dataset:
    if context.lanes is None:
        return job.read_data(context.device)
    return context.lanes.data(lambda: job.read_data(context.device))


def _epochs(job: Job, data: Dataset, resume: Checkpoint | None, way: "Way") -> Iterator[Epoch]:
    """The epochs that are still to be trained.

    Raises:
        Stopped: in the middle of one, since the scheduler asked to stop.
    """
    if resume is not None:
        if job.has_stalled(resume.curve):
            return
        way.step = resume.epoch + 1
    if way.context.lanes is not None:
        try:
            yield from _epochs_in_lane(way.context.lanes, job, data, resume, way)
            return
        except LaneRefused as refused:
            print(f"trains alone: {refused}", file=sys.stderr)  # noqa: T201
    epochs = train(
        job.recipe,
        data,
        resume=resume,
        device=way.context.device,
        progress=way.tell,
        halvings=job.halvings,
    )
    for epoch in epochs:
        way.step = epoch.index + 1
        yield epoch


def _epochs_in_lane(
    lanes: SharedLanes, job: Job, data: Dataset, resume: Checkpoint | None, way: "Way"
) -> Iterator[Epoch]:
    epochs = lanes.train(
        way.context.attempt,
        job.recipe,
        data,
        resume=resume,
        device=way.context.device,
        tell=way.tell,
        halvings=job.halvings,
        graph=EAGER if job.graph == "auto" else job.graph_as(job.graph),
    )
    for epoch in epochs:
        way.step = epoch.index + 1
        yield epoch


class Stopped(Interrupted):
    """The scheduler asked to stop in the middle of an epoch."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"Stopped: {reason}.")
        self.reason = reason


@dataclass(slots=True)
class Way:
    """From one report to the next: tells how far it is, and ends where that is asked for.

    Where the trial goes on, preempted, a checkpoint of the middle of the epoch is written then, and
    the next attempt goes on from there. Of a committee and in lanes the epoch is lost, and trained
    again. Either way it is bit for bit what an undisturbed training would have been.
    """

    context: Context
    files: Files
    #: The step of the next report.
    step: int = 1

    def tell(self, done: int, total: int, loss: float) -> None:
        """Say that `done` of `total` steps of the epoch are taken, and what was written by now.

        Raises:
            Stopped: the scheduler has asked to stop.
        """
        self.files.announce()
        if self.context.progress(self.step, done, total, {"train_loss": loss}) is Verdict.STOP:
            raise Stopped(self.context.stop_reason or Reason.CANCELLED)


def _end(context: Context, step: int, value: float | None, best: Best) -> Outcome | None:
    """How the attempt ends if the verdict on `step` is that it does."""
    match context.verdict(step):
        case Verdict.PRUNE:
            return Outcome.pruned(value, {"best_step": best.step})
        case Verdict.STOP:
            return Outcome.stopped(context.stop_reason or Reason.CANCELLED)
        case Verdict.CONTINUE:
            return None
