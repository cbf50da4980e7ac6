"""What an ended attempt means for its trial, and the trial for its job."""

import math
import re
from dataclasses import replace
from datetime import datetime

from tuner.protocol import Ended, WorkerEnded
from tuner.scheduler.commands import EndAttempt, MoveTrial, RecordCheckpoint, Sweep, Tell
from tuner.scheduler.endings import check_stop_rules, fail_job, finish_if_done
from tuner.scheduler.events import SchedulerLost
from tuner.scheduler.lane_count import graph_found, ground_found, heed_lanes, lanes_found
from tuner.scheduler.quarantine import heed_end_on_device
from tuner.scheduler.retry import Retry, attempt_state_for, policy
from tuner.scheduler.state import Attempt, JobRun, Probe, QueuedTrial
from tuner.scheduler.turn import Turn, counted
from tuner.slots import give_back
from tuner.states import AttemptState, JobState, Reason, TrialState

_STOPPED = (AttemptState.PREEMPTED, AttemptState.CANCELLED)
_NUMBER = re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?")


def settle_ended(turn: Turn, event: Ended) -> None:
    """The worker's own last word on an attempt; one for an attempt that is over changes nothing."""
    attempt = turn.state.attempts.get(event.attempt)
    if attempt is None:
        return
    if attempt.stopping is not None and event.state in _STOPPED:
        state = attempt_state_for(attempt.stopping)  # the newest reason, whichever it heard of
        event = replace(event, state=state, reason=attempt.stopping)
    _settle(turn, attempt, event if attempt.trial is None else _judged(event), exit_code=None)


def _judged(event: Ended) -> Ended:
    """The end as it counts: success needs a finite value, failure needs a reason."""
    if event.state is AttemptState.SUCCEEDED and event.values is not None:
        if not all(map(math.isfinite, event.values)):
            detail = f"the values are {', '.join(map(str, event.values))}"
            return replace(event, state=AttemptState.FAILED, reason=Reason.NAN, detail=detail)
    elif event.state is AttemptState.SUCCEEDED:
        if event.value is None:
            return replace(event, state=AttemptState.FAILED, reason=Reason.NO_RESULT)
        if not math.isfinite(event.value):
            detail = event.detail or f"the metric is {event.value}"
            return replace(event, state=AttemptState.FAILED, reason=Reason.NAN, detail=detail)
    if event.state is AttemptState.FAILED and event.reason is None:
        return replace(event, reason=Reason.USER_ERROR)
    return event


def settle_worker_ended(turn: Turn, event: WorkerEnded) -> None:
    """A worker is gone: every attempt it had not ended is lost, for the reason we know best."""
    for number in event.attempts:
        attempt = turn.state.attempts.get(number)
        if attempt is not None:
            reason = attempt.stopping or event.reason
            ended = Ended(
                attempt=number,
                state=attempt_state_for(reason),
                reason=reason,
                detail=attempt.detail or event.detail,
            )
            _settle(turn, attempt, ended, exit_code=event.exit_code)


def settle_scheduler_lost(turn: Turn, event: SchedulerLost) -> None:
    """Attempts of a scheduler that is gone: their trials wait for a slot again, uncounted.

    They ended with its last sign of life, as far as anybody can tell; what came after is nobody's.
    """
    for number in event.attempts:
        attempt = turn.state.attempts[number]
        reason = Reason.SCHEDULER_LOST
        detail = "The scheduler ended while this ran."
        ended = Ended(attempt=number, state=AttemptState.LOST, reason=reason, detail=detail)
        at = max(attempt.started, min(event.last_beat, turn.now))
        _settle(turn, attempt, ended, exit_code=None, at=at)


def _settle(
    turn: Turn,
    attempt: Attempt,
    ended: Ended,
    *,
    exit_code: int | None,
    at: datetime | None = None,
) -> None:
    """Leave the slot, record the end, and decide what becomes of the trial.

    The end was `at` a time, by default now.
    """
    at = at or turn.now
    slot_seconds = _leave_slot(turn, attempt, at)
    heed_end_on_device(turn, attempt.slot, ended.state, ended.reason)
    turn.emit(
        EndAttempt(
            attempt=attempt.id,
            state=ended.state,
            now=at,
            reason=ended.reason,
            detail=ended.detail,
            traceback=ended.traceback,
            exit_code=exit_code,
            facts=ended.facts,
        )
    )
    job = turn.job(attempt.job)
    if job is None:
        return
    seconds = (at - attempt.started).total_seconds()
    job = turn.put(
        replace(
            job,
            busy_seconds=job.busy_seconds + seconds,
            virtual_seconds=job.virtual_seconds + slot_seconds,
        )
    )
    if attempt.trial is None:
        _settle_probe(turn, job, ended)
    else:
        job = heed_lanes(turn, job, ended)
        trial = replace(
            attempt.trial,
            attempts=attempt.trial.attempts + 1,
            seconds=attempt.trial.seconds + seconds,
        )
        _settle_trial(turn, job, trial, ended, attempt.last_value)


def _leave_slot(turn: Turn, attempt: Attempt, at: datetime) -> float:
    """Leave the slot to a neighbour, or give it back; the seconds the attempt answered for it."""
    turn.drop_attempt(attempt.id)
    if attempt.slot_since is None:
        return 0.0
    heir = next(iter(turn.state.neighbours(attempt)), None)
    if heir is None:
        turn.state = replace(turn.state, inventory=give_back(turn.state.inventory, attempt.slot))
    else:
        turn.put_attempt(replace(heir, slot_since=at))
    return (at - attempt.slot_since).total_seconds()


def _settle_probe(turn: Turn, job: JobRun, ended: Ended) -> None:
    if ended.state is AttemptState.SUCCEEDED:
        turn.event(job.id, "probed", data=dict(ended.facts))
        lanes, graph = lanes_found(ended) or job.lanes, graph_found(ended) or job.graph
        turn.save(replace(job, probed=True, lanes=lanes, graph=graph, ground=ground_found(ended)))
        finish_if_done(turn, turn.state.jobs[job.id])
        return
    reason, probe = ended.reason or Reason.USER_ERROR, job.probe
    retry = policy(reason, probe.counted, probe.halvings)
    if retry.again or ended.state in _STOPPED:
        turn.save(replace(job, probe=_next_probe(turn, probe, retry)))  # once a slot is free
        finish_if_done(turn, turn.state.jobs[job.id])
    else:
        fail_job(turn, job, str(retry.final), f"The probe failed: {ended.detail or reason}")


def _next_probe(turn: Turn, before: Probe, retry: Retry) -> Probe:
    return Probe(
        attempts=before.attempts + 1,
        counted=before.counted + retry.counted,
        halvings=before.halvings + retry.halved,
        due=turn.now + retry.after,
    )


def _settle_trial(
    turn: Turn, job: JobRun, trial: QueuedTrial, ended: Ended, last_value: float | None
) -> None:
    match ended.state:
        case AttemptState.SUCCEEDED:
            job = _complete(turn, job, trial, ended)
        case AttemptState.PRUNED:
            job = _close(turn, job, trial, TrialState.PRUNED, ended, last_value)
        case AttemptState.CANCELLED:
            job = _close(turn, job, trial, TrialState.CANCELLED, ended, None)
        case _:
            job = _fail_or_retry(turn, job, trial, ended)
    job = check_stop_rules(turn, turn.save(job))
    finish_if_done(turn, job)


def _complete(turn: Turn, job: JobRun, trial: QueuedTrial, ended: Ended) -> JobRun:
    value = ended.value
    before = job.best_value
    job = _close(turn, job, trial, TrialState.COMPLETED, ended, value)
    if value is not None and job.direction.better(value, before):
        data = {"value": value, "before": before, "params": dict(trial.params)}
        turn.event(job.id, "best_improved", trial.number, data)
        return replace(job, best_value=value, best_number=trial.number, stale=0)
    if value == before and job.best_number is not None and trial.number < job.best_number:
        return replace(job, best_number=trial.number)  # of equals the first asked for, always
    return job


def _close(
    turn: Turn,
    job: JobRun,
    trial: QueuedTrial,
    target: TrialState,
    ended: Ended,
    value: float | None,
) -> JobRun:
    """Bring the trial into a final state and tell everybody."""
    best_step = ended.facts.get("best_step")
    if not isinstance(best_step, int):
        best_step = None
    turn.emit(
        MoveTrial(
            trial=trial,
            target=target,
            now=turn.now,
            value=value,
            values=ended.values,
            best_step=best_step,
            reason=ended.reason,
            detail=ended.detail,
        ),
        Tell(
            job=job.id,
            number=trial.number,
            state=target,
            value=value,
            values=ended.values,
            infeasible=ended.reason is Reason.INFEASIBLE,
        ),
        Sweep(job=job.id, number=trial.number),
    )
    data = {
        "value": value,
        "values": ended.values,
        "step": best_step,
        "reason": ended.reason,
        "detail": ended.detail,
    }
    known = {key: fact for key, fact in data.items() if fact is not None}
    turn.event(job.id, f"trial_{target}", trial.number, known)
    job = counted(job, running=-1, **{str(target): 1})
    if target in (TrialState.COMPLETED, TrialState.PRUNED):
        job = replace(job, stale=job.stale + 1, failures_alike=0)
    return job


def _fail_or_retry(turn: Turn, job: JobRun, trial: QueuedTrial, ended: Ended) -> JobRun:
    reason = ended.reason or Reason.USER_ERROR
    retry = policy(reason, trial.counted, trial.halvings)
    trial = replace(
        trial, counted=trial.counted + retry.counted, halvings=trial.halvings + retry.halved
    )
    if retry.again and job.ending is None and job.state is not JobState.CANCELLING:
        return _requeue(turn, job, trial, ended, retry)
    if not retry.counted or (retry.again and job.ending is not None):
        cancelled = replace(ended, reason=Reason.CANCELLED)
        return _close(turn, job, trial, TrialState.CANCELLED, cancelled, None)
    ended = replace(ended, reason=retry.final)
    job = _close(turn, job, trial, TrialState.FAILED, ended, None)
    first_line = (ended.detail or "").partition("\n")[0]
    failure = f"{retry.final}: {first_line}"
    alike = job.failures_alike + 1 if _alike(failure, job.last_failure) else 1
    if retry.final is Reason.INFEASIBLE:
        alike = 0  # the sampler learns from it, and nothing is wrong with the job
    return replace(job, failures_alike=alike, last_failure=failure)


def _alike(failure: str, before: str | None) -> bool:
    """Whether two failures differ in numbers at most, as those of processes and parameters do."""
    return before is not None and _NUMBER.sub("0", failure) == _NUMBER.sub("0", before)


def _requeue(turn: Turn, job: JobRun, trial: QueuedTrial, ended: Ended, retry: Retry) -> JobRun:
    """Put the trial back, before those that have not begun."""
    due = turn.now + retry.after if retry.after else None
    trial = replace(trial, due=due)
    if ended.reason is Reason.CHECKPOINT_CORRUPT:
        trial = replace(trial, checkpoint=None)
        turn.emit(
            RecordCheckpoint(
                job=job.ulid, trial=trial.id, number=trial.number, uri=None, best=False
            )
        )
    turn.emit(
        MoveTrial(
            trial=trial,
            target=TrialState.QUEUED,
            now=turn.now,
            reason=ended.reason,
            detail=ended.detail,
        )
    )
    data = {
        "reason": ended.reason,
        "detail": ended.detail,
        "counted": retry.counted,
        "halved": retry.halved,
    }
    turn.event(job.id, "trial_retried", trial.number, {k: v for k, v in data.items() if v})
    job = counted(job, running=-1, queued=1)
    return replace(job, ready=(trial, *job.ready))
