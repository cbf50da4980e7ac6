"""The scheduler's records: all decisions of a tick become one transaction.

Every transition carries its allowed source states in its WHERE; a row that is not in one of them
means that somebody else wrote where only the scheduler may, and the tick fails as a whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tuner.db import (
    attempts,
    events,
    hosts,
    jobs,
    requests,
    study_attrs,
    trials,
)
from tuner.disk import DiskUse
from tuner.scheduler.commands import (
    AnswerRequest,
    CreateAttempt,
    CreateTrial,
    EndAttempt,
    MoveJob,
    MoveTrial,
    Record,
    RecordCheckpoint,
    RecordEvent,
    RecordProgress,
    RecordStep,
)
from tuner.slots import Inventory
from tuner.states import (
    EXTENDABLE,
    LIVE_JOBS,
    LIVE_TRIALS,
    JobState,
    TrialState,
)
from tuner.store.ledger_statements import (
    ADVANCE_EVENTS,
    SET_TRIAL,
    insert_steps,
    to_attempt_state,
    to_job_state,
    to_trial_state,
)
from tuner.store.statements import clean, finite, guarded, plain, transition, upsert


def write(connection: sa.Connection, records: Sequence[Record]) -> None:
    """Write the records of one tick; the caller commits.

    Raises:
        TransitionRefused: a row is not in a state from which its transition may start.
    """
    for record in records:
        match record:
            case CreateTrial():
                _create_trial(connection, record)
            case MoveTrial():
                _move_trial(connection, record)
            case CreateAttempt():
                _create_attempt(connection, record)
            case EndAttempt():
                _end_attempt(connection, record)
            case RecordProgress():
                _record_progress(connection, record)
            case RecordCheckpoint():
                _record_checkpoint(connection, record)
            case AnswerRequest():
                answer(connection, record.request, record.outcome, record.now)
            case MoveJob() | RecordEvent() | RecordStep():
                pass  # below, many at a time
    _record_steps(connection, [r for r in records if isinstance(r, RecordStep)])
    _move_jobs(connection, [r for r in records if isinstance(r, MoveJob)])
    _record_events(connection, [r for r in records if isinstance(r, RecordEvent)])


def _create_trial(connection: sa.Connection, record: CreateTrial) -> None:
    connection.execute(
        sa.insert(trials),
        {
            "id": record.trial.id,
            "job_id": record.job,
            "number": record.trial.number,
            "state": TrialState.QUEUED,
            "params": dict(record.trial.params),
            "source": record.source,
            "system_attrs": dict(record.system_attrs),
            "created_at": record.now,
        },
    )
    for key, value in record.study_attrs.items():
        keys = {"job_id": record.job, "key": key}
        upsert(connection, study_attrs, keys, {"value": value})


def _move_trial(connection: sa.Connection, record: MoveTrial) -> None:
    target, trial = record.target, record.trial
    running = target is TrialState.RUNNING
    changes: dict[str, Any] = {
        "key": trial.id,
        "state": target,
        "attempts": trial.attempts + running,
        "counted": trial.counted,
        "reason": record.reason,
        "detail": clean(record.detail),
        "progress": None,
    }
    if running:
        changes["now"] = record.now
    if target not in LIVE_TRIALS:
        changes |= {"finished_at": record.now, "value": finite(record.value)}
        changes |= {"best_step": record.best_step}
    subject = f"Trial {trial.number} (row {trial.id})"
    guarded(connection, to_trial_state(target), changes, subject, target)


def _create_attempt(connection: sa.Connection, record: CreateAttempt) -> None:
    attempt = record.attempt
    connection.execute(
        sa.insert(attempts),
        {
            "id": attempt.id,
            "job_id": attempt.job,
            "trial_id": None if attempt.trial is None else attempt.trial.id,
            "ordinal": record.ordinal,
            "state": "running",
            "host": record.host,
            "device": attempt.slot.gpu or "cpu",
            "cpus": attempt.slot.cpus,
            "gpu_share": attempt.slot.gpu_share,
            "started_at": attempt.started,
        },
    )


def _end_attempt(connection: sa.Connection, record: EndAttempt) -> None:
    changes = {
        "key": record.attempt,
        "state": record.state,
        "reason": record.reason,
        "detail": clean(record.detail),
        "traceback": clean(record.traceback),
        "exit_code": record.exit_code,
        "facts": plain(record.facts) or None,
        "finished_at": record.now,
    }
    statement, subject = to_attempt_state(record.state), f"Attempt {record.attempt}"
    guarded(connection, statement, changes, subject, record.state)


def _record_progress(connection: sa.Connection, record: RecordProgress) -> None:
    place = record.place
    progress = {
        "step": place.step,
        "done": place.done,
        "total": place.total,
        "values": plain(place.metrics),
        "at": record.now.isoformat(),
    }
    connection.execute(SET_TRIAL, {"key": record.trial, "progress": progress})


def _record_checkpoint(connection: sa.Connection, record: RecordCheckpoint) -> None:
    changes = {"model_uri" if record.best else "checkpoint_uri": record.uri}
    connection.execute(sa.update(trials).where(trials.c.id == record.trial).values(changes))


def _record_steps(connection: sa.Connection, records: Sequence[RecordStep]) -> None:
    if not records:
        return
    newest: dict[int, RecordStep] = {}
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for record in records:
        newest[record.trial] = record
        rows[record.trial, record.step] = {
            "trial_id": record.trial,
            "step": record.step,
            "attempt_id": record.attempt,
            "at": record.now,
            "values": {name: finite(value) for name, value in record.metrics.items()},
        }
    connection.execute(insert_steps(connection.dialect.name), list(rows.values()))
    plain_steps = [{"key": r.trial, "last_step": r.step, "progress": None} for r in newest.values()]
    connection.execute(SET_TRIAL, plain_steps)
    # A step after which they have not changed brings none; those of the step before it stay.
    notes = {r.trial: dict(r.system_attrs) for r in records if r.system_attrs is not None}
    if notes:
        rows_of_notes = [{"key": trial, "system_attrs": note} for trial, note in notes.items()]
        connection.execute(SET_TRIAL, rows_of_notes)


def _move_jobs(connection: sa.Connection, records: Iterable[MoveJob]) -> None:
    """One update for each state a job passes through; of several within one state the last."""
    passages: dict[int, list[MoveJob]] = {}
    for record in records:
        passage = passages.setdefault(record.job.id, [])
        if passage and passage[-1].target is record.target:
            passage.pop()
        passage.append(record)
    for passage in passages.values():
        for record in passage:
            _move_job(connection, record)


def _move_job(connection: sa.Connection, record: MoveJob) -> None:
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
    guarded(connection, to_job_state(target), changes, f"Job {job.ulid}", target)


def _record_events(connection: sa.Connection, records: Sequence[RecordEvent]) -> None:
    per_job: dict[int, list[RecordEvent]] = {}
    for record in records:
        per_job.setdefault(record.job, []).append(record)
    rows = []
    for job, mine in per_job.items():
        last = connection.execute(ADVANCE_EVENTS, {"key": job, "more": len(mine)}).scalar_one()
        first = last - len(mine) + 1
        rows += [_event_row(record, first + place) for place, record in enumerate(mine)]
    if rows:
        connection.execute(sa.insert(events), rows)


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
    _record_events(connection, [RecordEvent(job=job, kind="extended", now=now)])


def delete_job(connection: sa.Connection, job: int) -> None:
    """Remove a final job with everything that hangs on it."""
    final = [state for state in JobState if state not in LIVE_JOBS]
    statement = sa.delete(jobs).where(jobs.c.id == job, jobs.c.state.in_(final))
    guarded(connection, statement, {}, f"Job row {job}", "deleted")


def answer(
    connection: sa.Connection, request: int, outcome: Mapping[str, Any], now: datetime
) -> None:
    """Mark a request as dealt with."""
    connection.execute(
        sa.update(requests)
        .where(requests.c.id == request, requests.c.applied_at.is_(None))
        .values(applied_at=now, outcome=plain(outcome))
    )


def beat(
    connection: sa.Connection, inventory: Inventory, disk: DiskUse | None, now: datetime
) -> None:
    """Say that this host's scheduler lives, what is free on it, and what its files take."""
    facts = asdict(inventory) | {"disk": None if disk is None else asdict(disk)}
    changes = {"inventory": plain(facts), "beat_at": now}
    upsert(connection, hosts, {"name": inventory.host}, changes)
