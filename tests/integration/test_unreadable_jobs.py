"""Jobs whose rows cannot be read: each fails with its reason, and all others go on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa

from tests.factories import StoredJob
from tests.invariants import assert_invariants
from tests.stand import Stand
from tuner.db import Database, jobs, trials
from tuner.executors.inline import InlineExecutor
from tuner.settings import Settings

Begin = Callable[..., Stand]


@pytest.fixture
def begin(database: Database, settings: Settings) -> Iterator[Begin]:
    """Start a scheduler."""
    with ExitStack() as stack:

        def begun(**programs: str) -> Stand:
            return stack.enter_context(Stand(database, settings, InlineExecutor(), **programs))

        yield begun


def damage(database: Database, job: StoredJob, **columns: Any) -> None:
    with database.writing() as connection:
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(columns))


def garble(database: Database, job: StoredJob, column: str) -> None:
    """Make the column what is no JSON, where the database lets anybody."""
    text = "'{\"model\": '" if not database.is_postgres else "'\"{\"'"
    with database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET {column} = {text} WHERE id = {job.id}")


def begin_anew(stand: Stand) -> None:
    """The scheduler ends with all its workers, and another starts."""
    stand.loop.close()
    for attempt in list(stand.loop.state.attempts):
        stand.executor.kill(attempt)
    stand.executor.poll(0)
    stand.begin()


DAMAGES = {
    "spec": {"spec": {"model": 5}},
    "plan": {"plan": {}},
    "budget": {"budget": {"trails": 3}},
}


@pytest.mark.parametrize("columns", DAMAGES.values(), ids=DAMAGES)
def test_a_queued_job_that_cannot_be_read_fails_and_the_next_one_runs(
    begin: Begin, database: Database, columns: dict[str, Any]
) -> None:
    stand = begin()
    bad = stand.submit(budget={"trials": 3, "epochs": 1})
    good = stand.submit(budget={"trials": 3, "epochs": 1})
    damage(database, bad, **columns)
    assert stand.finish(good)["completed"] == 3
    row = stand.job(bad)
    assert (row["state"], row["reason"]) == ("failed", "unreadable")
    assert row["detail"].startswith("What is stored of it cannot be read: ")
    assert [event["kind"] for event in stand.events(bad)][-1] == "failed"
    assert_invariants(database)


def test_a_job_under_way_that_cannot_be_read_fails_with_its_trials_at_the_next_start(
    begin: Begin, database: Database
) -> None:
    stand = begin(program="wait")
    bad = stand.submit(budget={"trials": 9, "epochs": 3}, parallel=1)
    search = {"seed": 1, "pruner": "none"}
    good = stand.submit(budget={"trials": 2, "epochs": 3}, parallel=1, search=search)
    stand.until(lambda: stand.job(bad)["running"] and stand.job(good)["running"])
    damage(database, bad, plan={})
    stand.program = "climb"
    begin_anew(stand)
    assert stand.finish(good)["completed"] == 2
    row = stand.job(bad)
    assert (row["state"], row["reason"]) == ("failed", "unreadable")
    assert (row["running"], row["queued"], row["cancelled"]) == (0, 0, row["created"])
    assert {trial["state"] for trial in stand.trials(bad)} == {"cancelled"}
    reasons = [attempt["reason"] for attempt in stand.attempts(bad)]
    assert reasons[-1] == "scheduler_lost"
    kinds = [event["kind"] for event in stand.events(bad)]
    assert kinds[-1] == "failed"
    assert kinds.count("trial_cancelled") == row["created"]
    assert_invariants(database)


def test_a_job_whose_trial_cannot_be_read_fails_alone(begin: Begin, database: Database) -> None:
    stand = begin()
    bad = stand.submit(budget={"trials": 9, "epochs": 1}, search={"pruner": "none"})
    good = stand.submit(budget={"trials": 2, "epochs": 1})
    stand.until(lambda: stand.job(bad)["completed"] > 1)
    stand.loop.close()
    with database.writing() as connection:
        of_job = sa.update(trials).where(trials.c.job_id == bad.id, trials.c.number == 1)
        connection.execute(of_job.values(params={"lr": "fast"}))
    begin_anew(stand)
    assert stand.finish(good)["completed"] == 2
    assert stand.job(bad)["reason"] == "unreadable"
    assert_invariants(database)


def test_a_job_being_cancelled_that_cannot_be_read_is_cancelled(
    begin: Begin, database: Database
) -> None:
    stand = begin(program="hang")
    job = stand.submit(budget={"trials": 2, "epochs": 3}, parallel=1)
    damage(database, job, state="cancelling", plan={})
    begin_anew(stand)
    row = stand.job(job)
    assert (row["state"], row["finished_at"] is None) == ("cancelled", False)
    assert_invariants(database)


def test_what_is_no_json_at_all_stops_nobody_else_and_can_be_deleted(
    begin: Begin, database: Database
) -> None:
    stand = begin(program="wait")
    bad = stand.submit(budget={"trials": 2, "epochs": 1}, parallel=1)
    good = stand.submit(budget={"trials": 2, "epochs": 1}, parallel=1)
    stand.until(lambda: stand.job(bad)["running"] and stand.job(good)["running"])
    garble(database, bad, "spec")
    stand.program = "climb"
    begin_anew(stand)
    stand.request(bad, "delete")
    assert stand.finish(good)["completed"] == 2

    def there() -> list[int]:
        with database.reading() as connection:
            return list(connection.scalars(sa.select(jobs.c.id)))

    stand.until(lambda: there() == [good.id])
    assert_invariants(database)
