"""The ledger writes no transition that the tables of states do not allow: finished is final."""

from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from tests.factories import NOON, StoredJob, insert_attempt, insert_job, insert_trials
from tests.unit.scheduler.world import make_job
from tuner.db import Database, attempts, jobs, requests, trials
from tuner.errors import TransitionRefused
from tuner.scheduler.commands import EndAttempt, MoveJob, MoveTrial, Record, RecordStep
from tuner.scheduler.state import QueuedTrial
from tuner.states import (
    ATTEMPT_NEXT,
    JOB_NEXT,
    LIVE_JOBS,
    TRIAL_NEXT,
    AttemptState,
    JobState,
    TrialState,
)
from tuner.store import ledger, ledger_jobs
from tuner.store.requests import insert_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A job with a trial and an attempt, whose states a test sets."""

    database: Database
    job: StoredJob
    trial: int
    attempt: int

    def set(self, table: sa.Table, key: int, state: str) -> None:
        with self.database.writing() as connection:
            connection.execute(sa.update(table).where(table.c.id == key).values(state=state))

    def writes(self, record: Record) -> bool:
        """Whether the ledger writes the record; where it does not, nothing has changed."""
        before = self.all()
        try:
            with self.database.writing() as connection:
                ledger.write(connection, [record])
        except TransitionRefused:
            assert self.all() == before
            return False
        return True

    def all(self) -> list[Any]:
        with self.database.reading() as connection:
            return [
                connection.execute(sa.select(table)).all() for table in (jobs, trials, attempts)
            ]


@pytest.fixture
def rows(database: Database) -> Rows:
    job = insert_job(database)
    (trial,) = insert_trials(database, job, [{"state": "running"}])
    attempt = insert_attempt(database, job, trial)
    return Rows(database=database, job=job, trial=trial, attempt=attempt)


def test_a_trial_moves_as_its_table_says_and_not_otherwise(rows: Rows) -> None:
    trial = QueuedTrial(id=rows.trial, number=0, params={})
    for state in TrialState:
        for target in TrialState:
            rows.set(trials, rows.trial, state)
            written = rows.writes(MoveTrial(trial=trial, target=target, now=NOON))
            assert written == (target in TRIAL_NEXT[state]), (state, target)


def test_an_attempt_ends_once(rows: Rows) -> None:
    for state in AttemptState:
        for target in set(AttemptState) - {AttemptState.RUNNING}:
            rows.set(attempts, rows.attempt, state)
            written = rows.writes(EndAttempt(attempt=rows.attempt, state=target, now=NOON))
            assert written == (target in ATTEMPT_NEXT[state]), (state, target)


def test_a_job_moves_as_its_table_says_and_changes_only_while_it_lives(rows: Rows) -> None:
    job = make_job(rows.job.id)
    for state in JobState:
        for target in JobState:
            rows.set(jobs, rows.job.id, state)
            written = rows.writes(MoveJob(job=job, target=target, now=NOON))
            within = target is state and state in LIVE_JOBS
            assert written == (within or target in JOB_NEXT[state]), (state, target)


@pytest.mark.parametrize("state", ["queued", "running", "paused", "cancelling", "cancelled"])
def test_only_a_job_that_ended_by_itself_is_opened_again(rows: Rows, state: str) -> None:
    rows.set(jobs, rows.job.id, state)
    with pytest.raises(TransitionRefused), rows.database.writing() as connection:
        ledger_jobs.reopen_job(connection, rows.job.id, NOON)


@pytest.mark.parametrize("state", sorted(LIVE_JOBS))
def test_a_job_that_lives_is_not_deleted(rows: Rows, state: str) -> None:
    rows.set(jobs, rows.job.id, state)
    with pytest.raises(TransitionRefused), rows.database.writing() as connection:
        ledger_jobs.delete_job(connection, rows.job.id)
    assert rows.all()[0]


def test_the_first_answer_to_a_request_stays(rows: Rows) -> None:
    with rows.database.writing() as connection:
        request = insert_request(connection, rows.job.id, "pause", {}, NOON)
        ledger.answer(connection, request, {"ok": True}, NOON)
        ledger.answer(connection, request, {"ok": False}, NOON)
        answered = connection.execute(sa.select(requests.c.outcome)).scalar_one()
    assert answered == {"ok": True}


def test_notes_of_a_step_stay_though_a_later_step_of_the_same_tick_has_none(rows: Rows) -> None:
    steps = [
        RecordStep(
            trial=rows.trial, attempt=rows.attempt, step=step, metrics={}, now=NOON,
            system_attrs=notes,
        )
        for step, notes in enumerate([{"rung": 0}, {"rung": 1}, None], start=1)
    ]  # fmt: skip
    with rows.database.writing() as connection:
        ledger.write(connection, steps)
        kept = connection.execute(sa.select(trials.c.system_attrs)).scalar_one()
    assert kept == {"rung": 1}
