"""What starts next: asks ahead of need, and trials on free slots, fairly."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
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
        if job.unknown and not job.probed:
            continue
        if len(job.ready) >= _ahead(turn.state, job) and not any(
            point.request for point in job.points
        ):
            continue
        point = job.points[0] if job.points else None
        many = job.lanes > 1
        turn.emit(Ask(job=job.id, number=job.tally.created, point=point, many_at_once=many))
        turn.put(replace(job, asking=True, asked_point=point, points=job.points[1:]))


def _ahead(state: State, job: JobRun) -> int:
    """How many trials of the job are to be ready; more while there are lanes none of them fits.

    Those that are ready then are of other signatures, and as many of them as a worker has lanes
    are enough to begin the next one with.
    """
    if job.lanes > 1 and (not job.tally.running or _inviting(state, job)):
        return job.lanes
    return 1 + job.tally.running // RUNNING_PER_PROPOSAL


def place(turn: Turn) -> None:
    """Start probes and trials while there are lanes or slots for them.

    Lanes that become free stay so once a job with a better claim waits for a slot: its turn comes
    when the worker has none left to train.
    """
    if turn.state.draining or turn.state.disk_full:
        return
    blocked: set[int] = set()
    while (job := _next_job(turn.state, turn.now, blocked)) is not None:
        if not blocked and (free := _free_lane(turn.state, job, turn.now)) is not None:
            trial, neighbour = free
            _start(turn, job, trial, neighbour.slot, beside=neighbour)
            continue
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
        (now - attempt.slot_since).total_seconds()
        for attempt in state.attempts_of(job.id)
        if attempt.slot_since is not None
    )


def level(state: State, now: datetime) -> float:
    """Where a newcomer starts: level with the least served live job, so that it owes nothing."""
    return min((served(state, job, now) for job in state.jobs.values()), default=0.0)


def _next_trial(job: JobRun, now: datetime) -> QueuedTrial | None:
    return next(_due(job, now), None)


def _due(job: JobRun, now: datetime) -> Iterator[QueuedTrial]:
    return (trial for trial in job.ready if trial.due is None or trial.due <= now)


def _free_lane(state: State, job: JobRun, now: datetime) -> tuple[QueuedTrial, Attempt] | None:
    """A trial of the job that a worker at work has a lane for, and an attempt of that worker."""
    inviting = _inviting(state, job)
    return next(((t, inviting[t.joins]) for t in _due(job, now) if t.joins in inviting), None)


def _inviting(state: State, job: JobRun) -> Mapping[str | None, Attempt]:
    """By signature an attempt whose worker has a free lane.

    Not one with more lanes than fit into memory, nor one with an attempt that is to end: it may be
    about to be killed.
    """
    if job.lanes == 1 or (job.parallel is not None and job.tally.running >= job.parallel):
        return {}
    crews: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in state.attempts_of(job.id):
        crews[attempt.worker].append(attempt)
    return {
        crew[0].trial.signature: crew[0]
        for crew in crews.values()
        if len(crew) < crew[0].lanes <= job.lanes
        and crew[0].trial is not None
        and not any(attempt.stopping for attempt in crew)
    }


def _start(
    turn: Turn,
    job: JobRun,
    trial: QueuedTrial | None,
    slot: Slot,
    *,
    beside: Attempt | None = None,
) -> None:
    """Start an attempt: of `trial`, or the job's probe; in the slot, or in the worker that has it.

    With `beside` it joins the worker of that attempt.
    """
    now = turn.now
    shared = trial is not None and trial.joins is not None
    attempt = Attempt(
        id=turn.state.next_attempt,
        job=job.id,
        trial=trial,
        slot=slot,
        started=now,
        last_progress=now,
        last_record=now,
        lanes=job.lanes if shared else 1,
        beside=None if beside is None else beside.worker,
        slot_since=now if beside is None else None,
    )
    turn.state = replace(turn.state, next_attempt=attempt.id + 1)
    if beside is None:
        turn.state = replace(turn.state, inventory=take(turn.state.inventory, slot))
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
