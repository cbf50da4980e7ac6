"""From rows to what the scheduler knows: jobs taken up, attempts found running, studies rebuilt."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import sqlalchemy as sa

from models.hyperparameters import Config
from tuner.db import Database
from tuner.leader.grouping import Grouping, graph_of, grouping, lanes_of
from tuner.planning.plan import Plan
from tuner.planning.ranging import unknown_ranges
from tuner.scheduler.retry import policy
from tuner.scheduler.state import Attempt, JobRun, Point, Probe, QueuedTrial, State, Tally
from tuner.search.objective_study import ObjectiveStudy
from tuner.search.replaying import StoredTrial
from tuner.search.study import JobStudy
from tuner.slots import Inventory, Request, Slot, gpus_of, slots_for, take
from tuner.spec import Budget, JobSpec, ObjectiveSpec, parse_spec
from tuner.states import LIVE_JOBS, JobState, Reason, TrialState
from tuner.store import findings, replay
from tuner.store.replay import Past
from tuner.store.unreadable import JobUnreadable, fail_unreadable, readable

log = logging.getLogger(__name__)

#: A trial that needs less than this share of a GPU's memory gets a quarter of its time.
SMALL_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveJob:
    """A job as taken up: what was asked, what was planned, and the scheduler's view of it."""

    spec: JobSpec
    plan: Plan
    job: JobRun
    #: How many slots for its attempts the host has, if nothing else ran on it.
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a new scheduler starts from."""

    state: State
    #: The jobs in it, with their studies.
    jobs: tuple[tuple[LiveJob, JobStudy], ...]
    #: By job that is to fail, since its rows cannot be read: why.
    unreadable: Mapping[int, str]


def recover(connection: sa.Connection, inventory: Inventory, now: datetime) -> Recovered:
    """The state a new scheduler starts from.

    Attempts that a former scheduler left running are in it, holding their slots; their workers
    are gone with that scheduler. Queued jobs are not: they come in like new ones.
    """
    last_beat = replay.last_beat(connection)
    taken_up: list[tuple[LiveJob, JobStudy]] = []
    unreadable: dict[int, str] = {}
    for begun in replay.jobs_in(connection, LIVE_JOBS - {JobState.QUEUED}):
        try:
            live, study = take_up(connection, begun["id"], inventory)
            taken_up.append((_clock_set(live, last_beat, now), study))
        except JobUnreadable as error:
            unreadable[begun["id"]] = error.why
    next_trial, next_attempt = replay.next_keys(connection)
    attempts: dict[int, Attempt] = {}
    workers: set[int] = set()
    for row in replay.running_attempts(connection):
        if row["job_id"] in unreadable:
            continue
        attempt = _attempt(connection, row)
        if attempt.worker in workers:
            attempt = replace(attempt, slot_since=None)
        else:
            workers.add(attempt.worker)
            inventory = take(inventory, attempt.slot)
        attempts[attempt.id] = attempt
    state = State(
        inventory=inventory,
        jobs={live.job.id: live.job for live, _ in taken_up},
        attempts=attempts,
        next_trial=next_trial,
        next_attempt=next_attempt,
    )
    return Recovered(state=state, jobs=tuple(taken_up), unreadable=unreadable)


def give_up(database: Database, unreadable: Mapping[int, str], now: datetime) -> None:
    """Fail these jobs, and say so."""
    for job, why in unreadable.items():
        with database.writing() as connection:
            fail_unreadable(connection, job, why, heard=replay.last_beat(connection), now=now)
        log.error("a job cannot be read and fails", extra={"job": job, "why": why})


def _clock_set(live: LiveJob, last_beat: datetime | None, now: datetime) -> LiveJob:
    """A running job's time ends with the last sign of life of its scheduler, and goes on now."""
    job = live.job
    if job.running_since is None:
        return live
    stopped = max(job.running_since, last_beat or job.running_since)
    job = replace(job, run_seconds=job.elapsed(min(stopped, now)), running_since=now)
    return replace(live, job=job)


def take_up(connection: sa.Connection, job: int, inventory: Inventory) -> tuple[LiveJob, JobStudy]:
    """One job from its rows, with its queued trials and its study.

    Raises:
        JobUnreadable: its rows are not what this version writes.
    """
    with readable(f"row {job}"):
        live = _live_job(connection, replay.job_row(connection, job), inventory)
        return live, _rebuild_study(connection, live)


def _live_job(connection: sa.Connection, row: sa.RowMapping, inventory: Inventory) -> LiveJob:
    spec = parse_spec(row["spec"])
    plan = Plan.from_json(row["plan"])
    trials = replay.trials_of(connection, row["id"])
    past = replay.past_of_trials(connection, row["id"])
    request = request_of(spec, plan, inventory)
    group = partial(grouping, spec, plan, on_gpu=request.gpus > 0)
    job = JobRun(
        id=row["id"],
        ulid=row["ulid"],
        state=JobState(row["state"]),
        priority=row["priority"],
        parallel=row["parallel"],
        budget=Budget.model_validate(row["budget"]),
        labels=row["labels"],
        revision=row["revision"],
        request=request,
        metric=plan.metric,
        direction=plan.direction,
        trial_seconds=_seconds(spec.limits.trial_minutes),
        no_progress_seconds=spec.limits.no_progress_minutes * 60,
        lanes=findings.lanes_found(connection, row["id"]) or lanes_of(spec),
        graph=findings.graph_found(connection, row["id"]) or graph_of(spec),
        ground=findings.ground_found(connection, row["id"]),
        tally=Tally(**{name: row[name] for name in Tally.__slots__}),
        probed=replay.is_probed(connection, row["id"]),
        unknown=() if trials else unknown_ranges(spec),
        probe=_probe(replay.reasons_of_probes(connection, row["id"])),
        points=_points_left(spec, plan, trials),
        ready=_ready(trials, past, group),
        best_value=row["best_value"],
        best_number=row["best_number"],
        stale=replay.ended_since_best(connection, row),
        ending="cancelled" if row["state"] == JobState.CANCELLING else None,
        started=row["started_at"],
        run_seconds=row["run_seconds"],
        running_since=row["running_since"],
        busy_seconds=row["busy_seconds"],
    )
    return LiveJob(spec=spec, plan=plan, job=job, slots=slots_for(request, inventory))


def _seconds(minutes: float | None) -> float | None:
    return None if minutes is None else minutes * 60


def _points_left(spec: JobSpec, plan: Plan, trials: list[sa.RowMapping]) -> tuple[Point, ...]:
    """The default and the start points that are no trials yet; they are tried in this order.

    An objective that suggests its own parameters has no default configuration.
    """
    default = Point(params=plan.default_config, source="default")
    points = (
        *((default,) if plan.space.parameters else ()),
        *(Point(params=point, source="start") for point in spec.start),
    )
    return points[sum(trial["source"] in ("default", "start") for trial in trials) :]


def _probe(reasons: list[Reason]) -> Probe:
    return Probe(
        attempts=len(reasons),
        counted=sum(policy(reason, 0).counted for reason in reasons),
        halvings=reasons.count(Reason.OOM_GPU),
    )


def _ready(
    trials: list[sa.RowMapping], past: Mapping[int, Past], group: Callable[[Config], Grouping]
) -> tuple[QueuedTrial, ...]:
    queued = [
        replace(_queued(row, past.get(row["id"], Past())), signature=group(row["params"]).signature)
        for row in trials
        if row["state"] == TrialState.QUEUED
    ]
    return tuple(sorted(queued, key=lambda trial: (trial.attempts == 0, trial.number)))


def _queued(row: sa.RowMapping, past: Past) -> QueuedTrial:
    return QueuedTrial(
        id=row["id"],
        number=row["number"],
        params=row["params"],
        attempts=row["attempts"],
        counted=row["counted"],
        checkpoint=row["checkpoint_uri"],
        reported=row["last_step"] or 0,
        seconds=past.seconds,
        halvings=past.oom_gpu,
    )


def _attempt(connection: sa.Connection, row: sa.RowMapping) -> Attempt:
    trial = None
    if row["trial_id"] is not None:
        past = replay.past_of_trials(connection, row["job_id"]).get(row["trial_id"], Past())
        found = _queued(replay.trial_row(connection, row["trial_id"]), past)
        trial = replace(found, attempts=found.attempts - 1)  # this attempt is not over
    return Attempt(
        id=row["id"],
        job=row["job_id"],
        trial=trial,
        slot=Slot(cpus=row["cpus"], gpus=gpus_of(row["device"]), gpu_share=row["gpu_share"]),
        started=row["started_at"],
        last_progress=row["started_at"],
        last_record=row["started_at"],
        beside=row["beside"],
        slot_since=row["started_at"],
    )


def request_of(spec: JobSpec, plan: Plan, inventory: Inventory) -> Request:
    """What one trial of the job needs on such a host."""
    gpus = [device for device in inventory.devices if device.kind == "cuda"]
    share = spec.resources.gpus
    if share == "auto":
        share = 0.0
        if gpus:
            smallest = min(device.memory_mb for device in gpus)
            # Of what others train nobody knows how much it takes.
            small = plan.memory_mb is not None and plan.memory_mb < SMALL_SHARE * smallest
            share = 0.25 if small else 1.0
    return Request(cpus=spec.resources.cpus, gpus=share)


def new_study(live: LiveJob) -> JobStudy:
    """A study by the job's plan, without a trial."""
    plan, job = live.plan, live.job
    of_objective = isinstance(live.spec, ObjectiveSpec)
    kind = ObjectiveStudy if of_objective and not plan.space.parameters else JobStudy
    return kind(
        job=job.ulid,
        space=plan.space,
        directions=list(plan.metrics.values()),
        search=live.spec.search,
        epochs=None if of_objective else job.budget.epochs,
        seed=plan.seed,
        feasible=plan.feasible,
        default_config=plan.default_config,
    )


def _rebuild_study(connection: sa.Connection, live: LiveJob) -> JobStudy:
    """The study as it was when its last trial was recorded."""
    job, study = live.job, new_study(live)
    reports = replay.reports_of(connection, job.id, live.plan.metric)
    stored = [
        StoredTrial(
            number=row["number"],
            state=TrialState(row["state"]),
            params=row["params"],
            value=row["value"],
            values=row["values"],
            infeasible=row["reason"] == Reason.INFEASIBLE,
            reports=reports.get(row["number"], {}),
            system_attrs=row["system_attrs"],
            distributions=row["distributions"],
            user_attrs=row["user_attrs"] or {},
        )
        for row in replay.trials_of(connection, job.id)
    ]
    if stored:
        study.rebuild(stored, replay.study_attrs_of(connection, job.id))
    return study
