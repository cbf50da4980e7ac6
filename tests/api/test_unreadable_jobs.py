"""A job whose rows cannot be read: what can be said of it is said, and the others are as ever."""

from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from tests.factories import StoredJob, insert_job, insert_trials
from tuner.db import Database, jobs
from tuner.storage_view import StorageView

DAMAGES: dict[str, dict[str, Any]] = {
    "spec": {"spec": {"model": 5}},
    "no-spec": {"spec": []},
    "plan": {"plan": {}},
    "budget": {"budget": {}},
    "labels": {"labels": {"team": 7}},
}


@pytest.fixture
def good(database: Database) -> StoredJob:
    """A job as any other."""
    return insert_job(database, name="whole")


@pytest.fixture(params=DAMAGES.values(), ids=DAMAGES)
def bad(request: pytest.FixtureRequest, database: Database, good: StoredJob) -> StoredJob:
    """A job with a trial, that says of itself what nobody understands."""
    job = insert_job(database, name="damaged")
    insert_trials(database, job, [{"value": 0.7}, {"state": "running"}])
    why = {"state": "failed", "reason": "unreadable", "detail": "What is stored of it …"}
    with database.writing() as connection:
        connection.execute(
            sa.update(jobs).where(jobs.c.id == job.id).values(**request.param, **why)
        )
    return job


def test_it_is_listed_with_its_reason_beside_the_others(
    api: TestClient, good: StoredJob, bad: StoredJob
) -> None:
    answer = api.get("/v1/jobs")
    assert answer.status_code == 200
    damaged, whole = answer.json()["jobs"]
    assert (damaged["id"], damaged["name"], damaged["reason"]) == (
        bad.ulid,
        "damaged",
        "unreadable",
    )
    assert (whole["id"], whole["model"]) == (good.ulid, "mlp")


def test_alone_it_shows_what_is_legible(api: TestClient, bad: StoredJob) -> None:
    answer = api.get(f"/v1/jobs/{bad.ulid}")
    assert answer.status_code == 200
    assert answer.json()["detail"] == "What is stored of it …"
    assert answer.json()["counts"]["created"] == 2


@pytest.mark.parametrize(
    "path",
    [
        "/best",
        "/best/model",
        "/best/export",
        "/best/card",
        "/trials",
        "/trials/0",
        "/trials/0/attempts",
        "/trials/0/metrics",
        "/trials/0/logs",
        "/probes",
        "/importances",
        "/export?format=csv",
        "/export?format=parquet",
        "/export?format=optuna",
    ],
)
def test_no_question_about_it_is_a_server_error(api: TestClient, bad: StoredJob, path: str) -> None:
    answer = api.get(f"/v1/jobs/{bad.ulid}{path}")
    assert answer.status_code < 500, answer.text
    if answer.status_code == 409:
        assert answer.json()["detail"].startswith(("What is stored of job", "Job "))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"revision": 1, "budget": {"trials": 9}}),
        ("POST", "/trials", {"params": {"lr": 0.1}}),
        ("POST", "/pause", None),
        ("DELETE", "", None),
    ],
)
def test_no_request_about_it_is_a_server_error(
    api: TestClient, bad: StoredJob, method: str, path: str, body: object
) -> None:
    answer = api.request(method, f"/v1/jobs/{bad.ulid}{path}", json=body)
    assert answer.status_code < 500, answer.text


def test_optuna_sees_all_studies(database: Database, good: StoredJob, bad: StoredJob) -> None:
    view = StorageView(database)
    assert [study._study_id for study in view.get_all_studies()] == [bad.id, good.id]
