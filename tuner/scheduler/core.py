"""`step`: state, event and time in, state and commands out. No clock, no thread, no database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from tuner.protocol import Ended, Judged, Progressed, Saved, Verdict, WorkerEnded
from tuner.scheduler.clocks import move_times, watch_clocks
from tuner.scheduler.commands import (
    AnswerRequest,
    Command,
    CreateTrial,
    RecordCheckpoint,
    RecordProgress,
    RecordStep,
    Send,
)
from tuner.scheduler.endings import (
    fail_job,
    finish_if_done,
    stop_attempt,
)
from tuner.scheduler.events import (
    AskFailed,
    Cancel,
    ClockSet,
    DiskMeasured,
    Drain,
    Drawn,
    Enqueue,
    Event,
    Exhausted,
    Measured,
    Patch,
    Pause,
    Proposed,
    Ranged,
    Remarked,
    Resume,
    SchedulerLost,
    Submitted,
    Tick,
)
from tuner.scheduler.objectives import hear_objective
from tuner.scheduler.placement import ask_ahead, level, place
from tuner.scheduler.ranges import heed_ranges
from tuner.scheduler.settlement import settle_ended, settle_scheduler_lost, settle_worker_ended
from tuner.scheduler.state import Attempt, JobRun, Place, QueuedTrial, State
from tuner.scheduler.turn import Turn, counted
from tuner.scheduler.verbs import apply_verb
from tuner.states import JobState, Reason

#: Between two records of how far one trial is, reports being records too.
PROGRESS_EVERY: Final = timedelta(seconds=10)


def step(state: State, event: Event, now: datetime) -> tuple[State, Sequence[Command]]:
    """What `event` at `now` makes of `state`, and what is to be done about it.

    Pure: the same arguments give the same answer, and nothing outside changes. An event about a
    job or an attempt that is over changes nothing.
    """
    turn = Turn(state, now)
    _apply(turn, event)
    place(turn)
    ask_ahead(turn)
    return turn.state, turn.commands


def _apply(turn: Turn, event: Event) -> None:
    match event:
        case Submitted():
            _welcome(turn, event.job)
        case Proposed():
            _create_trial(turn, event)
        case Exhausted() | AskFailed():
            _stop_asking(turn, event)
        case Drawn() | Remarked():
            hear_objective(turn, event)
        case Measured():
            _measure(turn, event)
        case Progressed():
            _advance(turn, event)
        case Saved():
            _record_checkpoint(turn, event)
        case Ended() | Ranged():
            settle_ended(turn, heed_ranges(turn, event))
        case WorkerEnded():
            settle_worker_ended(turn, event)
        case SchedulerLost():
            settle_scheduler_lost(turn, event)
        case Pause() | Resume() | Cancel() | Patch() | Enqueue():
            apply_verb(turn, event)
        case Drain():
            _drain(turn)
        case ClockSet():
            move_times(turn, event.by)
        case DiskMeasured():
            _heed_disk(turn, event)
        case Tick():
            watch_clocks(turn)
        case _:
            assert_never(event)


def _welcome(turn: Turn, job: JobRun) -> None:
    served = max(job.virtual_seconds, level(turn.state, turn.now))
    turn.put(replace(job, virtual_seconds=served))
    if job.started is None:
        turn.event(job.id, "submitted")
    if turn.state.disk_full:
        turn.event(job.id, "disk_full")


def _create_trial(turn: Turn, event: Proposed) -> None:
    job = turn.job(event.job)
    if job is None or not job.asking:
        return
    point = job.asked_point
    job = replace(job, asking=False, asked_point=None)
    if job.ending is not None or job.state is JobState.CANCELLING:
        finish_if_done(turn, turn.put(job))
        return
    trial = QueuedTrial(
        id=turn.state.next_trial,
        number=event.number,
        params=event.params,
        signature=event.signature,
    )
    turn.state = replace(turn.state, next_trial=trial.id + 1)
    turn.emit(
        CreateTrial(
            job=job.id,
            trial=trial,
            source=point.source if point else "sampler",
            system_attrs=event.system_attrs,
            study_attrs=event.study_attrs,
            now=turn.now,
        )
    )
    how = {"how": event.how} if event.how is not None else {}
    turn.event(job.id, "trial_queued", trial.number, {"params": dict(event.params)} | how)
    if event.alone is not None and job.lanes > 1:
        turn.event(job.id, "trains_alone", trial.number, {"why": event.alone})
    if point is not None and point.request is not None:
        outcome = {"ok": True, "number": trial.number}
        turn.emit(AnswerRequest(request=point.request, now=turn.now, outcome=outcome))
    job = counted(job, created=1, queued=1)
    turn.save(replace(job, ready=(*job.ready, trial)))


def _stop_asking(turn: Turn, event: Exhausted | AskFailed) -> None:
    job = turn.job(event.job)
    if job is None:
        return
    job = turn.put(replace(job, asking=False, exhausted=True))
    if isinstance(event, AskFailed):
        fail_job(turn, job, "sampler_failed", f"search.sampler failed: {event.detail}")
    else:
        finish_if_done(turn, job)


def _measure(turn: Turn, event: Measured) -> None:
    attempt = turn.state.attempts.get(event.attempt)
    if attempt is None or attempt.trial is None:
        return
    verdict = _verdict(attempt, event)
    answer = Judged(attempt=attempt.id, step=event.step, verdict=verdict)
    turn.emit(
        Send(message=answer),
        RecordStep(
            trial=attempt.trial.id,
            attempt=attempt.id,
            step=event.step,
            metrics=event.metrics,
            now=turn.now,
            system_attrs=event.system_attrs,
        ),
    )
    if verdict is Verdict.PRUNE:
        data = {"step": event.step, "value": event.value, "why": event.why}
        turn.event(attempt.job, "trial_judged", attempt.trial.number, data)
    trial = replace(attempt.trial, reported=event.step)
    turn.put_attempt(
        replace(
            attempt,
            trial=trial,
            last_progress=turn.now,
            place=None,
            last_record=turn.now,
            last_value=event.value,
        )
    )


def _verdict(attempt: Attempt, event: Measured) -> Verdict:
    if attempt.stopping is not None:
        return Verdict.STOP
    return Verdict.PRUNE if event.prune else Verdict.CONTINUE


def _advance(turn: Turn, event: Progressed) -> None:
    """Take note of how far an attempt is; of one that says the same again, nothing."""
    attempt = turn.state.attempts.get(event.attempt)
    if attempt is None or attempt.trial is None or event.step <= attempt.trial.reported:
        return
    place = Place(step=event.step, done=event.done, total=event.total, metrics=event.metrics)
    if not place.beyond(attempt.place):
        return
    last_record = attempt.last_record
    if turn.now - last_record >= PROGRESS_EVERY:
        turn.emit(RecordProgress(trial=attempt.trial.id, place=place, now=turn.now))
        last_record = turn.now
    turn.put_attempt(replace(attempt, place=place, last_progress=turn.now, last_record=last_record))


def _record_checkpoint(turn: Turn, event: Saved) -> None:
    attempt = turn.state.attempts.get(event.attempt)
    if attempt is None or attempt.trial is None or (job := turn.job(attempt.job)) is None:
        return
    turn.emit(
        RecordCheckpoint(
            job=job.ulid,
            trial=attempt.trial.id,
            number=attempt.trial.number,
            uri=event.uri,
            best=event.best,
            superseded=event.superseded,
        )
    )
    if not event.best:
        turn.put_attempt(replace(attempt, trial=replace(attempt.trial, checkpoint=event.uri)))


def _drain(turn: Turn) -> None:
    turn.state = replace(turn.state, draining=True)
    for attempt in tuple(turn.state.attempts.values()):
        stop_attempt(turn, attempt, Reason.PREEMPTED)


def _heed_disk(turn: Turn, event: DiskMeasured) -> None:
    """Start nothing while the disk is full, and tell every live job when that changes."""
    full = event.used > event.limit
    if full == turn.state.disk_full:
        return
    turn.state = replace(turn.state, disk_full=full)
    data = {"used_bytes": event.used, "limit_bytes": event.limit}
    for job in turn.state.jobs:
        turn.event(job, "disk_full" if full else "disk_free", data=data)
