"""What must hold in every database after whatever happened to it."""

import sqlalchemy as sa

from tuner.db import Database, attempts, events, jobs, trials
from tuner.states import LIVE_JOBS, LIVE_TRIALS, TrialState

STATES = [state.value for state in TrialState]


def assert_invariants(database: Database) -> None:
    """Assert what can be told from the rows alone."""
    with database.reading() as connection:
        for job in connection.execute(sa.select(jobs)).mappings():
            rows = connection.execute(sa.select(trials).where(trials.c.job_id == job["id"]))
            _assert_job(job, list(rows.mappings()))
        _assert_attempts(connection)
        _assert_events(connection)


def _assert_job(job: sa.RowMapping, found: list[sa.RowMapping]) -> None:
    states = [trial["state"] for trial in found]
    counted = {state: job[state] for state in STATES}
    assert counted == {state: states.count(state) for state in STATES}, "I1: counters"
    assert job["created"] == len(found) <= job["budget"]["trials"], "I2: budget"
    assert sorted(t["number"] for t in found) == list(range(len(found))), "numbers have no holes"
    values = [t["value"] for t in found if t["state"] == TrialState.COMPLETED]
    assert None not in values, "a completed trial has a value"
    if job["plan"]["direction"] == "maximize":
        assert job["best_value"] == max(values, default=None)
    else:
        assert job["best_value"] == min(values, default=None)
    for trial in found:
        ended = trial["state"] not in LIVE_TRIALS
        assert ended == (trial["finished_at"] is not None), "final trials have an end"
        assert trial["state"] != TrialState.FAILED or trial["reason"], "I12: reasons"
    if job["state"] not in LIVE_JOBS:
        assert not LIVE_TRIALS & set(states), "I8: a final job has final trials"
        assert job["finished_at"] is not None


def _assert_attempts(connection: sa.Connection) -> None:
    running = sa.select(attempts.c.trial_id, sa.func.count()).where(
        attempts.c.state == "running", attempts.c.trial_id.is_not(None)
    )
    for trial, count in connection.execute(running.group_by(attempts.c.trial_id)):
        assert count == 1, f"I3: trial row {trial} runs {count} times at once"
    succeeded = sa.select(attempts.c.trial_id, sa.func.count()).where(
        attempts.c.state == "succeeded", attempts.c.trial_id.is_not(None)
    )
    for trial, count in connection.execute(succeeded.group_by(attempts.c.trial_id)):
        assert count == 1, f"I3: trial row {trial} has {count} results"
    unexplained = sa.select(attempts.c.id).where(
        attempts.c.state.in_(("failed", "lost", "preempted")), attempts.c.reason.is_(None)
    )
    assert not list(connection.execute(unexplained)), "I12: every failure has a reason"


def _assert_events(connection: sa.Connection) -> None:
    query = sa.select(
        events.c.job_id, sa.func.count(), sa.func.min(events.c.seq), sa.func.max(events.c.seq)
    ).group_by(events.c.job_id)
    for job, count, first, last in connection.execute(query):
        assert (first, last) == (1, count), f"events of job row {job} have gaps"
