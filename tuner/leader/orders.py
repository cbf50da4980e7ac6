"""From an attempt to the order a worker gets: which program, on which files, with which device."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from models.importing import is_import_path
from tuner.artifacts.places import trial_folder
from tuner.foreign.permission import code_order
from tuner.leader.grouping import most_lanes, recipe_of
from tuner.leader.recovery import LiveJob
from tuner.planning.imports import imported
from tuner.protocol import StartAttempt
from tuner.scheduler.endings import GRACE
from tuner.scheduler.state import Attempt
from tuner.search.pruners import decisive_steps
from tuner.settings import Settings
from tuner.spec import CommandSpec, JobSpec, ObjectiveSpec, TrainingSpec


def start_order(attempt: Attempt, live: LiveJob, settings: Settings) -> StartAttempt:
    """The order that starts `attempt`: the job's probe, or a trial from where it had come to."""
    spec = live.spec
    epochs = None if isinstance(spec, ObjectiveSpec) else live.job.budget.epochs
    return StartAttempt(
        attempt=attempt.id,
        program=_program(spec, probe=attempt.trial is None),
        payload=_payload(spec, attempt, live, settings),
        threads=max(1, math.floor(attempt.slot.cpus)),
        gpus=attempt.slot.gpu_indices,
        decisive=decisive_steps(
            spec.search.pruner, epochs=epochs, options=spec.search.pruner_options
        ),
        foreign=not isinstance(spec, TrainingSpec) or bool(imported(spec)),
        ground=_ground(spec, attempt, live, settings),
        lanes=attempt.lanes,
        beside=attempt.beside,
    )


def _ground(
    spec: JobSpec, attempt: Attempt, live: LiveJob, settings: Settings
) -> Mapping[str, Any] | None:
    """What is imported once for all trials; of each job anew, since files may have changed."""
    if attempt.trial is None or not live.job.ground:
        return None
    modules = [path.partition(":")[0] for path in _imported(spec)]
    code = code_order(spec.code, settings)
    return {"job": live.job.ulid, "code": code, "modules": modules}


def _imported(spec: JobSpec) -> list[str]:
    """The import paths of what a job's workers import of others."""
    if isinstance(spec, TrainingSpec):
        return [path for _, path in imported(spec)]
    return [spec.objective] if isinstance(spec, ObjectiveSpec) else []


def _program(spec: JobSpec, *, probe: bool) -> str:
    match spec:
        case TrainingSpec():
            return "tuner.trainer:probe" if probe else "tuner.trainer:train_trial"
        case ObjectiveSpec():
            return "tuner.foreign.objective:probe" if probe else "tuner.foreign.objective:run"
        case CommandSpec():
            return "tuner.foreign.command:probe" if probe else "tuner.foreign.command:run"
    raise TypeError(f"No program carries out a {type(spec).__name__}.")


def _payload(
    spec: JobSpec, attempt: Attempt, live: LiveJob, settings: Settings
) -> Mapping[str, Any]:
    if isinstance(spec, TrainingSpec):
        return _of_training(spec, attempt, live, settings)
    common = _of_foreign(attempt, live, settings)
    match spec:
        case ObjectiveSpec():
            return {**common, "objective": spec.objective, "declared": not spec.defines_by_run}
        case CommandSpec():
            return {
                **common,
                "command": spec.command,
                "epochs": live.job.budget.epochs,
                # What it saves, and its end, are to be heard of before the scheduler ends it.
                "grace_s": GRACE.total_seconds() * 2 / 3,
                "allowed": settings.allow_commands,
            }
    raise TypeError(f"No order is made of a {type(spec).__name__}.")


def _of_foreign(attempt: Attempt, live: LiveJob, settings: Settings) -> dict[str, Any]:
    """What both objectives and commands are told."""
    plan, trial = live.plan, attempt.trial
    number = 0 if trial is None else trial.number
    return {
        "job": live.job.ulid,
        "number": number,
        "params": dict(plan.default_config if trial is None else trial.params),
        "metric": plan.metric,
        "directions": list(plan.metrics.values()),
        "seed": plan.seed + number,
        "reported": 0 if trial is None else trial.reported,
        "allowed_code": list(settings.allowed_code),
        "code": code_order(live.spec.code, settings),
        "folder": str(settings.trial_folders / live.job.ulid / str(number)),
    }


def _of_training(
    spec: TrainingSpec, attempt: Attempt, live: LiveJob, settings: Settings
) -> dict[str, Any]:
    plan, trial = live.plan, attempt.trial
    config = dict(plan.default_config if trial is None else trial.params)
    # Trials differ in their seeds as they would if run by hand, and repeat with the job's.
    seed = plan.seed + (0 if trial is None else trial.number)
    recipe = recipe_of(spec, plan, config, epochs=live.job.budget.epochs, seed=seed)
    payload: dict[str, Any] = {
        "recipe": recipe,
        "metric": plan.metric,
        "direction": plan.direction,
        "roots": list(settings.roots),
        "allowed_code": list(settings.allowed_code),
        "code": code_order(spec.code, settings),
        "cache": str(settings.cache),
        "artifacts": settings.artifact_root,
        "halvings": (live.job.probe if trial is None else trial).halvings,
    }
    if plan.capacity is not None and is_import_path(spec.model):
        payload["capacity"] = asdict(plan.capacity)
    if trial is None:
        job = live.job
        payload["most_lanes"] = most_lanes(
            spec, plan, trials=job.budget.trials, parallel=job.parallel, slots=live.slots
        )
        payload["measure_lanes"] = spec.resources.lanes == "auto"
        payload["graph"] = spec.resources.graph
        payload["trials"] = live.job.budget.trials
        payload["ranges"] = list(job.unknown)
        payload["memory_gb"] = spec.resources.memory_gb
        return payload
    payload["folder"] = trial_folder(live.job.ulid, trial.number)
    payload["reported"] = trial.reported
    payload["graph"] = live.job.graph
    if spec.keep.best <= 1 and spec.keep.last != "all":
        # Of one network that is kept the best value so far is to beat; it only gets better.
        payload["to_beat"] = live.job.best_value
    return payload
