"""How a job ends: by its budget, by its own failures, or because somebody cancelled it."""

from dataclasses import replace
from datetime import timedelta

from tuner.errors import TransitionRefused
from tuner.outcomes import refusal
from tuner.protocol import StopAttempt
from tuner.scheduler.commands import AnswerRequest, Forget, Kill, MoveTrial, Send, Sweep, Tell
from tuner.scheduler.state import Attempt, JobRun
from tuner.scheduler.turn import Turn, counted, entered
from tuner.states import JobState, Reason, TrialState

#: How long an attempt may take to reach its next report and checkpoint once told to stop.
GRACE = timedelta(seconds=30)

ALIKE_LIMIT = 5
HOPELESS_LIMIT = 10


def end_early(turn: Turn, job: JobRun, why: str) -> JobRun:
    """Let the job end with what it has: nothing new starts, what runs is stopped."""
    job = turn.put(replace(job, ending=job.ending or why))
    job = cancel_queued_trials(turn, job)
    stop_attempts(turn, job, Reason.CANCELLED)
    return job


def fail_job(turn: Turn, job: JobRun, reason: str, detail: str) -> JobRun:
    """End the job as failed, whatever it has reached."""
    job = turn.put(replace(job, failed_because=(reason, detail)))
    job = end_early(turn, job, detail)
    finish_if_done(turn, job)
    return job


def cancel_queued_trials(turn: Turn, job: JobRun) -> JobRun:
    """No queued trial of the job will run."""
    for trial in job.ready:
        turn.emit(
            MoveTrial(
                trial=trial, target=TrialState.CANCELLED, now=turn.now, reason=Reason.CANCELLED
            ),
            Tell(job=job.id, number=trial.number, state=TrialState.CANCELLED),
        )
        if trial.attempts:
            turn.emit(Sweep(job=job.id, number=trial.number))
        turn.event(job.id, "trial_cancelled", trial.number)
    job = counted(refuse_points(turn, job), queued=-len(job.ready), cancelled=len(job.ready))
    return turn.save(replace(job, ready=()))


def refuse_points(turn: Turn, job: JobRun) -> JobRun:
    """No point of the job that is no trial yet will be one: not even one being asked about."""
    for point in (*job.points, job.asked_point):
        if point is not None and point.request is not None:
            refuse_request(turn, point.request, job, "enqueued")
    return replace(job, points=(), asked_point=None)


def stop_attempts(turn: Turn, job: JobRun, reason: Reason) -> None:
    """Tell every attempt of the job to checkpoint and end at its next report."""
    for attempt in turn.state.attempts_of(job.id):
        stop_attempt(turn, attempt, reason)


def stop_attempt(turn: Turn, attempt: Attempt, reason: Reason) -> None:
    """Tell one attempt to end; only a cancellation replaces a reason it has already."""
    if attempt.stopping is not None and (
        attempt.stopping is Reason.CANCELLED or reason is not Reason.CANCELLED
    ):
        return
    stop_by = attempt.stop_by or turn.now + GRACE
    turn.put_attempt(replace(attempt, stopping=reason, stop_by=stop_by))
    if attempt.trial is None:
        kill(turn, attempt)  # a probe reports nothing and has nothing to save
    else:
        turn.emit(Send(message=StopAttempt(attempt=attempt.id, reason=reason)))


def kill(turn: Turn, attempt: Attempt) -> None:
    """End its worker at once; neighbours go back to the queue with it, uncounted."""
    for neighbour in turn.state.neighbours(attempt):
        if neighbour.stopping is None:
            detail = f"Its worker was ended with attempt {attempt.id}, which it also served."
            turn.put_attempt(
                replace(neighbour, stopping=Reason.PREEMPTED, stop_by=turn.now, detail=detail)
            )
    turn.emit(Kill(attempt=attempt.id))


def refuse_request(turn: Turn, request: int, job: JobRun, wanted: str) -> None:
    """Answer a request that the job's state does not allow."""
    outcome = refusal(TransitionRefused(f"Job {job.ulid}", str(job.state), wanted))
    turn.emit(AnswerRequest(request=request, now=turn.now, outcome=outcome))


def poisoned(job: JobRun) -> str | None:
    """Why the job is hopeless, if it is: the same failure again and again, or no success at all."""
    if job.failures_alike >= ALIKE_LIMIT:
        return f"{job.failures_alike} trials in a row failed alike: {job.last_failure}"
    if job.tally.failed >= HOPELESS_LIMIT and job.tally.completed + job.tally.pruned == 0:
        return f"All of the first {job.tally.failed} trials failed; the last: {job.last_failure}"
    return None


def check_stop_rules(turn: Turn, job: JobRun) -> JobRun:
    """End the job if it is hopeless, has reached its target, or has stopped getting better."""
    if job.ending is not None:
        return job
    if (detail := poisoned(job)) is not None:
        job = turn.put(replace(job, failed_because=("poison", detail)))
        return end_early(turn, job, detail)
    budget = job.budget
    if budget.target is not None and job.best_value is not None:
        reached = job.best_value == budget.target or job.direction.better(
            job.best_value, budget.target
        )
        if reached:
            return end_early(turn, job, f"target {budget.target:g} reached")
    if budget.patience is not None and job.stale >= budget.patience:
        return end_early(turn, job, f"no better value in {job.stale} trials (budget.patience)")
    return job


def check_deadline(turn: Turn, job: JobRun) -> JobRun:
    """End the job if its hours are used."""
    hours = job.budget.hours
    if hours is None or job.ending is not None or job.elapsed(turn.now) < hours * 3600:
        return job
    job = end_early(turn, job, f"budget.hours = {hours:g} used")
    finish_if_done(turn, job)
    return job


def finish_if_done(turn: Turn, job: JobRun) -> None:
    """Bring the job into its final state once nothing of it runs and nothing is to come."""
    if turn.state.attempts_of(job.id):
        return
    if job.state is JobState.CANCELLING:
        _finish(turn, job, JobState.CANCELLED, "cancelled", job.ending)
        return
    # A job that is extended is queued again, and not probed again.
    waits_for_probe = job.state is JobState.QUEUED and not job.probed
    to_come = job.ready or job.asking or job.open_for_trials
    if job.ending is None and (to_come or waits_for_probe):
        return
    if job.failed_because is not None:
        reason, detail = job.failed_because
        _finish(turn, job, JobState.FAILED, reason, detail)
    elif job.tally.completed:
        _finish(turn, job, JobState.SUCCEEDED, None, job.ending or _used_up(job))
    else:
        detail = f"{job.ending or _used_up(job)}, and no trial completed"
        _finish(turn, job, JobState.FAILED, "no_result", detail)


def _used_up(job: JobRun) -> str:
    if job.exhausted:
        return f"all {job.tally.created} points of the space tried"
    return f"all {job.budget.trials} trials done"


def _finish(
    turn: Turn, job: JobRun, target: JobState, reason: str | None, detail: str | None
) -> None:
    job = refuse_points(turn, job)
    if job.state is JobState.QUEUED:  # the table leads from queued to failed through running
        job = turn.save(entered(job, JobState.RUNNING, turn.now))
    job = entered(job, target, turn.now)
    turn.save(job, reason=reason, detail=detail)
    data = {"reason": reason, "detail": detail, "best": job.best_value, "trial": job.best_number}
    turn.event(job.id, str(target), data={k: v for k, v in data.items() if v is not None})
    turn.drop(job.id)
    turn.emit(Forget(job=job.id))
