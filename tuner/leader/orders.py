"""From an attempt to the order a worker gets: which program, on which files, with which device."""

import math
from typing import Any

from tuner.artifacts.places import trial_folder
from tuner.leader.grouping import most_lanes, recipe_of
from tuner.leader.recovery import LiveJob
from tuner.protocol import StartAttempt
from tuner.scheduler.state import Attempt
from tuner.search.pruners import decisive_steps
from tuner.settings import Settings


def start_order(attempt: Attempt, live: LiveJob, settings: Settings) -> StartAttempt:
    """The order that starts `attempt`: the job's probe, or a trial from its last checkpoint."""
    spec, plan, trial = live.spec, live.plan, attempt.trial
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
        "cache": str(settings.cache),
        "artifacts": settings.artifact_root,
        "halvings": (live.job.probe if trial is None else trial).halvings,
    }
    if trial is None:
        job = live.job
        payload["most_lanes"] = most_lanes(
            spec, plan, trials=job.budget.trials, parallel=job.parallel, slots=live.slots
        )
        payload["measure_lanes"] = spec.resources.lanes == "auto"
        payload["graph"] = spec.resources.graph
        payload["trials"] = live.job.budget.trials
    else:
        payload["folder"] = trial_folder(live.job.ulid, trial.number)
        payload["reported"] = trial.reported
        payload["graph"] = live.job.graph
        if spec.keep.best <= 1 and spec.keep.last != "all":
            # Of one network that is kept the best value so far is to beat; it only gets better.
            payload["to_beat"] = live.job.best_value
    return StartAttempt(
        attempt=attempt.id,
        program="tuner.trainer:probe" if trial is None else "tuner.trainer:train_trial",
        payload=payload,
        threads=max(1, math.floor(attempt.slot.cpus)),
        gpu=attempt.slot.gpu_index,
        decisive=decisive_steps(spec.search.pruner, epochs=live.job.budget.epochs),
        lanes=attempt.lanes,
        beside=attempt.beside,
    )
