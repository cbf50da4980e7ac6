"""What people ask of a job, and whether its state allows it."""

from dataclasses import replace
from typing import Any, assert_never

from tuner.errors import Fault, SpecInvalid, StaleRevision, TunerError
from tuner.outcomes import refusal
from tuner.scheduler.commands import AnswerRequest, Forget
from tuner.scheduler.endings import (
    cancel_queued_trials,
    check_stop_rules,
    finish_if_done,
    refuse_request,
    stop_attempt,
    stop_attempts,
)
from tuner.scheduler.events import Cancel, Enqueue, Patch, Pause, Resume, Verb
from tuner.scheduler.state import JobRun, Point
from tuner.scheduler.turn import Turn, entered
from tuner.spec import Budget
from tuner.states import JOB_NEXT, JobState, Reason


def apply_verb(turn: Turn, event: Verb) -> None:
    """Carry out one request on a live job, and answer it."""
    job = turn.job(event.job)
    if job is None:
        return
    match event:
        case Pause():
            _pause(turn, job, event.request)
        case Resume():
            _resume(turn, job, event.request)
        case Cancel():
            _cancel(turn, job, event.request)
        case Patch():
            _patch(turn, job, event)
        case Enqueue():
            _enqueue(turn, job, event)
        case _:
            assert_never(event)


def _answer(turn: Turn, request: int, **facts: Any) -> None:
    turn.emit(AnswerRequest(request=request, now=turn.now, outcome={"ok": True, **facts}))


def _refused(turn: Turn, request: int, error: TunerError) -> None:
    turn.emit(AnswerRequest(request=request, now=turn.now, outcome=refusal(error)))


def _pause(turn: Turn, job: JobRun, request: int) -> None:
    if job.state is JobState.PAUSED:
        _answer(turn, request)
    elif JobState.PAUSED not in JOB_NEXT[job.state] or job.ending is not None:
        refuse_request(turn, request, job, "paused")
    else:
        job = turn.save(entered(job, JobState.PAUSED, turn.now))
        stop_attempts(turn, job, Reason.PREEMPTED)
        turn.event(job.id, "paused")
        _answer(turn, request)


def _resume(turn: Turn, job: JobRun, request: int) -> None:
    if job.state in (JobState.RUNNING, JobState.QUEUED):
        _answer(turn, request)
    elif JobState.RUNNING not in JOB_NEXT[job.state]:
        refuse_request(turn, request, job, "running")
    else:
        turn.save(entered(job, JobState.RUNNING, turn.now))
        turn.event(job.id, "resumed")
        _answer(turn, request)


def _cancel(turn: Turn, job: JobRun, request: int) -> None:
    _answer(turn, request)
    if job.state is JobState.CANCELLING:
        return
    if job.state is JobState.QUEUED:  # nothing of it runs, so there is nothing to wait for
        job = cancel_queued_trials(turn, job)
        job = turn.save(entered(job, JobState.CANCELLED, turn.now), reason="cancelled")
        turn.event(job.id, "cancelled")
        turn.drop(job.id)
        turn.emit(Forget(job=job.id))
        return
    job = entered(replace(job, ending="cancelled"), JobState.CANCELLING, turn.now)
    job = cancel_queued_trials(turn, job)
    turn.event(job.id, "cancelling")
    stop_attempts(turn, job, Reason.CANCELLED)
    finish_if_done(turn, job)


def _patch(turn: Turn, job: JobRun, event: Patch) -> None:
    if event.revision != job.revision:
        _refused(turn, event.request, StaleRevision(job.ulid, event.revision, job.revision))
        return
    budget = Budget.model_validate({**job.budget.model_dump(), **(event.budget or {})})
    created = job.tally.created + job.asking
    if budget.trials < created:
        fault = Fault(
            pointer="/budget/trials",
            code="too-few",
            detail=f"budget.trials = {budget.trials} is below the {created} trials the job "
            f"has already; give at least {created}, or cancel the job.",
        )
        _refused(turn, event.request, SpecInvalid([fault]))
        return
    job = replace(
        job,
        budget=budget,
        parallel=event.parallel if event.sets_parallel else job.parallel,
        priority=job.priority if event.priority is None else event.priority,
        labels=job.labels if event.labels is None else event.labels,
        revision=job.revision + 1,
    )
    job = turn.save(job)
    turn.event(job.id, "patched", data={"revision": job.revision})
    _answer(turn, event.request, revision=job.revision)
    _preempt_surplus(turn, job)
    finish_if_done(turn, check_stop_rules(turn, job))


def _preempt_surplus(turn: Turn, job: JobRun) -> None:
    """Where fewer may run at once than do, the newest attempts checkpoint and wait."""
    if job.parallel is None:
        return
    going_on = [a for a in turn.state.attempts_of(job.id) if a.trial and a.stopping is None]
    for attempt in sorted(going_on, key=lambda a: a.id)[job.parallel :]:
        stop_attempt(turn, attempt, Reason.PREEMPTED)


def _enqueue(turn: Turn, job: JobRun, event: Enqueue) -> None:
    waiting = sum(point.request is not None for point in job.points)
    if not job.open_for_trials or job.tally.created + job.asking + waiting >= job.budget.trials:
        fault = Fault(
            pointer="/budget/trials",
            code="budget-used",
            detail=f"All {job.budget.trials} trials of the budget are created; "
            "PATCH the job with a larger budget.trials first.",
        )
        _refused(turn, event.request, SpecInvalid([fault]))
        return
    point = Point(params=event.params, source="enqueued", request=event.request)
    turn.put(replace(job, points=(*job.points[:waiting], point, *job.points[waiting:])))
