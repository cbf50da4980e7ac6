"""Jobs whose rows cannot be read: how one is told from the others, and how it ends."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from tuner.db import attempts, jobs, trials
from tuner.errors import StoreUnavailable, TunerError
from tuner.scheduler.commands import RecordEvent
from tuner.states import LIVE_TRIALS, AttemptState, JobState, Reason, TrialState
from tuner.store.ledger_jobs import record_events
from tuner.store.ledger_statements import to_job_state
from tuner.store.statements import clean, plain

#: Why such a job ended, as its row says.
UNREADABLE: Final = "unreadable"

#: What says nothing of the rows: the database does not answer, or this process cannot go on.
_ELSEWHERE: Final = (StoreUnavailable, sa.exc.SQLAlchemyError, MemoryError, OSError)

_JOB = sa.select(jobs.c.state, jobs.c.run_seconds, jobs.c.running_since, jobs.c.cancelled)
_LIVE = trials.c.state.in_(sorted(LIVE_TRIALS))


class JobUnreadable(TunerError):
    """What is stored of a job is not what this version writes."""

    hint = (
        "Another version of Tuner may have written it: submit the job again, "
        "or start the version that wrote it."
    )

    def __init__(self, job: str, why: str) -> None:
        super().__init__(f"What is stored of job {job} cannot be read: {why}")
        self.job = job
        self.why = why


@contextmanager
def readable(job: str) -> Iterator[None]:
    """Blame the rows of this job for whatever is raised within, but for faults of other kinds.

    Raises:
        JobUnreadable: they are not what this version writes.
    """
    try:
        yield
    except _ELSEWHERE:
        raise
    except Exception as error:
        raise JobUnreadable(job, f"{type(error).__name__}: {error}") from error


def fail_unreadable(
    connection: sa.Connection, job: int, why: str, *, heard: datetime | None, now: datetime
) -> None:
    """End the job, and all of it that is under way; the caller commits.

    What was running ended with the scheduler that was last `heard` then. A job that was being
    cancelled is cancelled. Reads nothing that might itself be damaged.
    """
    row = connection.execute(_JOB.where(jobs.c.id == job)).one()
    cancelled = _cancel_trials(connection, job, now)
    if row.state == JobState.QUEUED:  # the table leads from queued to failed through running
        connection.execute(to_job_state(JobState.RUNNING), {"key": job, "state": JobState.RUNNING})
    target = JobState.CANCELLED if row.state == JobState.CANCELLING else JobState.FAILED
    ran = (heard - row.running_since).total_seconds() if heard and row.running_since else 0.0
    facts = {"reason": UNREADABLE, "detail": clean(f"What is stored of it cannot be read: {why}")}
    changes: dict[str, Any] = {
        **facts,
        "key": job,
        "state": target,
        "queued": 0,
        "running": 0,
        "paused": 0,
        "cancelled": row.cancelled + len(cancelled),
        "run_seconds": row.run_seconds + max(0.0, ran),
        "running_since": None,
        "finished_at": now,
    }
    connection.execute(to_job_state(target), changes)
    events = [_event(job, "trial_cancelled", now, trial=number) for number in cancelled]
    record_events(connection, [*events, _event(job, target, now, data=plain(facts))])


def _cancel_trials(connection: sa.Connection, job: int, now: datetime) -> list[int]:
    """The numbers of the trials that had not ended."""
    under_way = attempts.c.state == AttemptState.RUNNING
    connection.execute(
        sa.update(attempts)
        .where(attempts.c.job_id == job, under_way)
        .values(state=AttemptState.LOST, reason=Reason.SCHEDULER_LOST, finished_at=now)
    )
    live = sa.select(trials.c.number).where(trials.c.job_id == job, _LIVE)
    numbers = list(connection.scalars(live.order_by(trials.c.number)))
    connection.execute(
        sa.update(trials)
        .where(trials.c.job_id == job, _LIVE)
        .values(state=TrialState.CANCELLED, reason=Reason.CANCELLED, finished_at=now, progress=None)
    )
    return numbers


def _event(
    job: int,
    kind: str,
    now: datetime,
    *,
    trial: int | None = None,
    data: Mapping[str, Any] | None = None,
) -> RecordEvent:
    return RecordEvent(job=job, kind=str(kind), now=now, trial=trial, data=data or {})
