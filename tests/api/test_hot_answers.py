"""What is asked most is answered without the views; it is what the views would say."""

from datetime import timedelta
from typing import Any

import pydantic
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from tests.factories import NOON, StoredJob, insert_job, insert_trials, make_spec
from tuner.db import Database, jobs
from tuner.errors import StoreUnavailable
from tuner.states import JobState, TrialState
from tuner.store.jobs import job_version
from tuner.views import BestList, JobDetail, TrialPage

#: Names, numbers and times that JSON writers are known to differ about.
PARAMS = {"größe 🦜\u2028": 2**53 + 1, "lr": 1e-300, "big": -(2.5e300), "on": True, "no": None}
LATE = NOON + timedelta(microseconds=120)


@pytest.fixture
def job(database: Database) -> StoredJob:
    job = insert_job(
        database,
        name='"Müller" \\ 🦜',
        spec=make_spec(labels={"schlüssel": "wert 🦜"}, budget={"trials": 9, "hours": 0.1}),
        created_at=LATE,
        running_since=NOON,
        busy_seconds=1 / 3,
    )
    rich: dict[str, Any] = {"params": PARAMS, "detail": "brach ab: ½", "reason": "out_of_memory"}
    rows = [{"state": state, **rich} for state in TrialState]
    best = {"value": 0.1 + 0.7, "model_uri": "models/1", "finished_at": LATE, "best_step": 3}
    insert_trials(database, job, [*rows, {**rich, **best}, {"value": 1e-7, "state": "pruned"}])
    return job


def assert_speaks_as(view: type[pydantic.BaseModel], answer: Any) -> None:
    """The answer is what the view makes of it: nothing missing, nothing more, all alike."""
    assert view.model_validate(answer).model_dump(mode="json") == answer


@pytest.mark.parametrize("state", JobState)
def test_a_job_is_answered_as_its_view_says(
    api: TestClient, database: Database, job: StoredJob, state: JobState
) -> None:
    with database.writing() as connection:
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(state=state))
    answer = api.get(f"/v1/jobs/{job.ulid}").json()
    assert_speaks_as(JobDetail, answer)
    assert (answer["best"]["params"], answer["state"]) == (PARAMS, state)
    assert answer["created_at"] == "2026-06-01T12:00:00.000120Z"


def test_a_job_without_results_is_answered_as_its_view_says(
    api: TestClient, database: Database
) -> None:
    answer = api.get(f"/v1/jobs/{insert_job(database, started_at=None).ulid}").json()
    assert_speaks_as(JobDetail, answer)
    assert (answer["best"], answer["started_at"]) == (None, None)


@pytest.mark.parametrize("query", ["", "?page_size=2", "?sort=-value", "?state=queued"])
def test_a_page_of_trials_is_answered_as_its_view_says(
    api: TestClient, job: StoredJob, query: str
) -> None:
    answer = api.get(f"/v1/jobs/{job.ulid}/trials{query}").json()
    assert_speaks_as(TrialPage, answer)
    assert answer["trials"][0]["params"] == PARAMS


@pytest.mark.parametrize("k", [1, 5])
def test_the_best_trials_are_answered_as_their_view_says(
    api: TestClient, job: StoredJob, k: int
) -> None:
    answer = api.get(f"/v1/jobs/{job.ulid}/best?k={k}").json()
    assert_speaks_as(BestList, answer)
    best = answer["best"][0]
    assert (best["value"], best["has_model"], best["seconds"]) == (0.1 + 0.7, True, 0.00012)


def test_each_question_sees_what_was_written_before_it(database: Database) -> None:
    job = insert_job(database, version=1)
    with database.asking() as asker:
        assert job_version(asker, job.ulid) == 1
        with database.writing() as connection:
            connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(version=2))
        assert job_version(asker, job.ulid) == 2


@pytest.mark.postgres
def test_after_a_broken_connection_the_next_question_is_answered(
    postgres_database: Database,
) -> None:
    job = insert_job(postgres_database, version=3)
    with postgres_database.asking() as asker:
        assert job_version(asker, job.ulid) == 3
    with postgres_database.writing() as connection:
        others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        others += "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(sa.text(others))
    with pytest.raises(StoreUnavailable), postgres_database.asking() as asker:
        job_version(asker, job.ulid)
    with postgres_database.asking() as asker:
        assert job_version(asker, job.ulid) == 3
