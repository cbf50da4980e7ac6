"""What starts next: asks ahead of need, and trials on free slots, fairly."""

from dataclasses import replace
from datetime import datetime

from tuner.scheduler.commands import Ask, CreateAttempt, MoveTrial, Start
from tuner.scheduler.endings import fail_job
from tuner.scheduler.state import Attempt, JobRun, QueuedTrial, State
from tuner.scheduler.turn import Turn, counted, entered
from tuner.slots import Slot, find, fits_empty, take
from tuner.states import JobState, TrialState

#: A job keeps one proposal ready, and one more for each so many trials it runs.
RUNNING_PER_PROPOSAL = 8


def ask_ahead(turn: Turn) -> None:
    """Ask the study of every job that will soon need a trial and has none ready."""
    if turn.state.draining:
        return
    for job in tuple(turn.state.jobs.values()):
        if job.asking or not job.open_for_trials:
            continue
        ahead = 1 + job.tally.running // RUNNING_PER_PROPOSAL
        if len(job.ready) >= ahead and not any(point.request for point in job.points):
            continue
        point = job.points[0] if job.points else None
        turn.emit(Ask(job=job.id, number=job.tally.created, point=point))
        turn.put(replace(job, asking=True, asked_point=point, points=job.points[1:]))


def place(turn: Turn) -> None:
    """Start probes and trials while there are slots for them."""
    if turn.state.draining or turn.state.disk_full:
        return
    blocked: set[int] = set()
    while (job := _next_job(turn.state, turn.now, blocked)) is not None:
        slot = find(turn.state.inventory, job.request)
        if slot is None:
            blocked.add(job.id)
            if not fits_empty(turn.state.inventory, job.request):
                _refuse(turn, job)
        elif not job.probed:
            _start(turn, job, None, slot)
        else:
            _start(turn, job, _next_trial(job, turn.now), slot)


def _next_job(state: State, now: datetime, blocked: set[int]) -> JobRun | None:
    """Of the jobs that could start something, the most important; of equals, the least served."""
    candidates = [
        job
        for job in state.jobs.values()
        if job.id not in blocked and _could_start(state, job, now)
    ]
    if not candidates:
        return None
    return min(candidates, key=lambda job: (-job.priority, served(state, job, now), job.id))


def _could_start(state: State, job: JobRun, now: datetime) -> bool:
    if job.ending is not None:
        return False
    under_way = state.attempts_of(job.id)
    if not job.probed:
        due = job.probe.due is None or job.probe.due <= now
        return due and job.state in (JobState.QUEUED, JobState.RUNNING) and not under_way
    at_once = len([a for a in under_way if a.trial is not None])
    return (
        job.state in (JobState.QUEUED, JobState.RUNNING)
        and (job.parallel is None or at_once < job.parallel)
        and _next_trial(job, now) is not None
    )


def served(state: State, job: JobRun, now: datetime) -> float:
    """Slot-seconds the job has had, those of attempts under way included."""
    return job.virtual_seconds + sum(
        (now - attempt.started).total_seconds() for attempt in state.attempts_of(job.id)
    )


def level(state: State, now: datetime) -> float:
    """Where a newcomer starts: level with the least served live job, so that it owes nothing."""
    return min((served(state, job, now) for job in state.jobs.values()), default=0.0)


def _next_trial(job: JobRun, now: datetime) -> QueuedTrial | None:
    return next((t for t in job.ready if t.due is None or t.due <= now), None)


def _start(turn: Turn, job: JobRun, trial: QueuedTrial | None, slot: Slot) -> None:
    """Take the slot and start an attempt: of `trial`, or the job's probe."""
    now = turn.now
    attempt = Attempt(
        id=turn.state.next_attempt,
        job=job.id,
        trial=trial,
        slot=slot,
        started=now,
        last_progress=now,
        last_record=now,
    )
    turn.state = replace(
        turn.state,
        next_attempt=attempt.id + 1,
        inventory=take(turn.state.inventory, slot),
    )
    if job.state is JobState.QUEUED:
        job = entered(job, JobState.RUNNING, now)
        job = replace(job, started=job.started or now)
        turn.event(job.id, "started")
    if trial is not None:
        job = counted(job, queued=-1, running=1)
        job = replace(job, ready=tuple(t for t in job.ready if t.id != trial.id))
        turn.emit(MoveTrial(trial=trial, target=TrialState.RUNNING, now=now))
        turn.event(job.id, "trial_started", trial.number, {"attempt": trial.attempts + 1})
    turn.save(job)
    turn.put_attempt(attempt)
    ordinal = (job.probe if trial is None else trial).attempts + 1
    host = turn.state.inventory.host
    turn.emit(CreateAttempt(attempt=attempt, ordinal=ordinal, host=host), Start(attempt=attempt))


def _refuse(turn: Turn, job: JobRun) -> None:
    """Fail a job whose trials would fit nowhere, ever."""
    host = turn.state.inventory
    have = ", ".join(f"{d.name} ({d.capacity:g})" for d in host.devices)
    wants = f"{job.request.cpus:g} CPU cores"
    if job.request.gpus:
        wants += f" and {job.request.gpus:g} of a GPU"
    fail_job(
        turn,
        job,
        "infeasible",
        f"resources: a trial wants {wants}; host {host.host} has {have}. Ask for less.",
    )
