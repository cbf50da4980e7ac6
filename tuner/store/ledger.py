"""The scheduler's records: all decisions of a tick become one transaction.

Every transition carries its allowed source states in its WHERE; a row that is not in one of them
means that somebody else wrote where only the scheduler may, and the tick fails as a whole.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tuner.db import (
    attempts,
    requests,
    study_attrs,
    trials,
)
from tuner.scheduler.commands import (
    AmendPlan,
    AnswerRequest,
    CreateAttempt,
    CreateTrial,
    EndAttempt,
    MoveJob,
    MoveTrial,
    Record,
    RecordCheckpoint,
    RecordEvent,
    RecordParams,
    RecordProgress,
    RecordRemarks,
    RecordStep,
)
from tuner.states import (
    LIVE_TRIALS,
    TrialState,
)
from tuner.store.ledger_jobs import amend_plan, move_jobs, record_events
from tuner.store.ledger_statements import (
    SET_TRIAL,
    insert_steps,
    to_attempt_state,
    to_trial_state,
)
from tuner.store.statements import clean, finite, guarded, plain, upsert


def write(connection: sa.Connection, records: Sequence[Record]) -> dict[int, int]:
    """Write the records of one tick; the caller commits.

    Returns:
        By job the version its row has then, by which `ledger_jobs.stands` knows the tick again.

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
            case RecordParams():
                _record_params(connection, record)
            case RecordRemarks():
                remarks = {"user_attrs": record.user_attrs, "system_attrs": record.system_attrs}
                connection.execute(SET_TRIAL, {"key": record.trial, **plain(remarks)})
            case RecordProgress():
                _record_progress(connection, record)
            case RecordCheckpoint():
                _record_checkpoint(connection, record)
            case AmendPlan():
                amend_plan(connection, record)
            case AnswerRequest():
                answer(connection, record.request, record.outcome, record.now)
            case MoveJob() | RecordEvent() | RecordStep():
                pass  # below, many at a time
    _record_steps(connection, [r for r in records if isinstance(r, RecordStep)])
    moved = move_jobs(connection, [r for r in records if isinstance(r, MoveJob)])
    return moved | record_events(connection, [r for r in records if isinstance(r, RecordEvent)])


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
    _note_of_study(connection, record.job, record.study_attrs)


def _note_of_study(connection: sa.Connection, job: int, attrs: Mapping[str, Any]) -> None:
    for key, value in attrs.items():
        upsert(connection, study_attrs, {"job_id": job, "key": key}, {"value": value})


def _record_params(connection: sa.Connection, record: RecordParams) -> None:
    told = {
        "params": record.params,
        "distributions": record.distributions,
        "system_attrs": record.system_attrs,
    }
    connection.execute(SET_TRIAL, {"key": record.trial, **plain(told)})
    _note_of_study(connection, record.job, record.study_attrs)


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
        changes |= {"best_step": record.best_step, "values": plain(record.values)}
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
            "device": attempt.slot.device,
            "cpus": attempt.slot.cpus,
            "gpu_share": attempt.slot.gpu_share,
            "beside": attempt.beside,
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


def answer(
    connection: sa.Connection, request: int, outcome: Mapping[str, Any], now: datetime
) -> None:
    """Mark a request as dealt with."""
    connection.execute(
        sa.update(requests)
        .where(requests.c.id == request, requests.c.applied_at.is_(None))
        .values(applied_at=now, outcome=plain(outcome))
    )
