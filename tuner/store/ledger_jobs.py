"""The ledger's part about jobs: their rows, their events, and the versions that tell a tick."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tuner.db import events, jobs
from tuner.scheduler.commands import AmendPlan, MoveJob, RecordEvent
from tuner.states import EXTENDABLE, LIVE_JOBS, JobState
from tuner.store.ledger_statements import ADVANCE_EVENTS, VERSION, to_job_state
from tuner.store.statements import clean, guarded, plain, refused, transition


def move_jobs(connection: sa.Connection, records: Iterable[MoveJob]) -> dict[int, int]:
    """One update for each state a job passes through; of several within one state the last.

    The versions of the rows that were changed.
    """
    passages: dict[int, list[MoveJob]] = {}
    for record in records:
        passage = passages.setdefault(record.job.id, [])
        if passage and passage[-1].target is record.target:
            passage.pop()
        passage.append(record)
    return {
        job: [_move_job(connection, record) for record in passage][-1]
        for job, passage in passages.items()
    }


def _move_job(connection: sa.Connection, record: MoveJob) -> int:
    job, target = record.job, record.target
    changes: dict[str, Any] = {
        **asdict(job.tally),
        "key": job.id,
        "state": target,
        "budget": job.budget.model_dump(mode="json"),
        "parallel": job.parallel,
        "priority": job.priority,
        "labels": dict(job.labels),
        "revision": job.revision,
        "best_value": job.best_value,
        "best_number": job.best_number,
        "run_seconds": job.run_seconds,
        "running_since": job.running_since,
        "busy_seconds": job.busy_seconds,
        "started_at": job.started,
        "reason": record.reason,
        "detail": clean(record.detail),
        "finished_at": None if target in LIVE_JOBS else record.now,
    }
    version = connection.execute(to_job_state(target), changes).scalar_one_or_none()
    if version is None:
        raise refused(f"Job {job.ulid}", target)
    return int(version)


def amend_plan(connection: sa.Connection, record: AmendPlan) -> None:
    """Put the plan in the place of the one of the submission."""
    connection.execute(sa.update(jobs).where(jobs.c.id == record.job).values(plan=record.plan))


def record_events(connection: sa.Connection, records: Sequence[RecordEvent]) -> dict[int, int]:
    """Number the events on; the versions of their jobs' rows."""
    per_job: dict[int, list[RecordEvent]] = {}
    for record in records:
        per_job.setdefault(record.job, []).append(record)
    rows = []
    versions = {}
    for job, mine in per_job.items():
        last, versions[job] = connection.execute(
            ADVANCE_EVENTS, {"key": job, "more": len(mine)}
        ).one()
        first = last - len(mine) + 1
        rows += [_event_row(record, first + place) for place, record in enumerate(mine)]
    if rows:
        connection.execute(sa.insert(events), rows)
    return versions


def _event_row(record: RecordEvent, seq: int) -> dict[str, Any]:
    return {
        "job_id": record.job,
        "seq": seq,
        "kind": record.kind,
        "trial": record.trial,
        "at": record.now,
        "data": plain(record.data),
    }


def reopen_job(connection: sa.Connection, job: int, now: datetime) -> None:
    """Queue a finished job again, the one way out of a final state; its budget is to be raised.

    Raises:
        TransitionRefused: the job is not finished, or was cancelled.
    """
    reopened = {"state": JobState.QUEUED, "reason": None, "detail": None, "finished_at": None}
    statement = transition(jobs, EXTENDABLE)
    guarded(connection, statement, {"key": job, **reopened}, f"Job row {job}", JobState.QUEUED)
    record_events(connection, [RecordEvent(job=job, kind="extended", now=now)])


def delete_job(connection: sa.Connection, job: int) -> None:
    """Remove a final job with everything that hangs on it."""
    final = [state for state in JobState if state not in LIVE_JOBS]
    statement = sa.delete(jobs).where(jobs.c.id == job, jobs.c.state.in_(final))
    guarded(connection, statement, {}, f"Job row {job}", "deleted")


def stands(connection: sa.Connection, versions: Mapping[int, int]) -> bool:
    """Whether the tick that `write` gave these versions for was committed.

    Whatever must not be written twice comes with a change of its job's row, which only the
    scheduler writes: a tick without one is said not to stand. A commit that is under way is waited
    for.
    """
    for job, version in versions.items():
        found = connection.execute(VERSION, {"key": job}).scalar_one_or_none()
        return found is not None and found >= version  # one tells: they all came in one commit
    return False
