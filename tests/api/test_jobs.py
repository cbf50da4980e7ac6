"""Submitting, listing, watching over and ending jobs over HTTP."""

from collections.abc import Callable

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from app import examples
from tests.api.conftest import applies, on_sqlite
from tests.factories import StoredJob, insert_job, insert_trials, make_spec, waiting_requests
from tuner.db import Database

Open = Callable[..., TestClient]
YAML = {"content-type": "application/yaml"}


def submit(api: TestClient, key: str | None = None, **overrides: object) -> Response:
    headers = {"Idempotency-Key": key} if key else {}
    return api.post("/v1/jobs", json=make_spec(**overrides), headers=headers)


def path(job: StoredJob) -> str:
    return f"/v1/jobs/{job.ulid}"


def test_a_submitted_job_stands_where_the_answer_says(api: TestClient) -> None:
    answer = submit(api, name="mine")
    assert answer.status_code == 202
    assert answer.headers["retry-after"] == "1"
    job = api.get(answer.headers["location"]).json()
    assert (job["name"], job["state"], job["id"]) == ("mine", "queued", answer.json()["id"])
    assert job["spec"]["optimizer"] == "adamw"


def test_the_documented_yaml_is_accepted(api: TestClient) -> None:
    answer = api.post("/v1/jobs", content=examples.FULL_YAML, headers=YAML)
    assert answer.status_code == 202, answer.text
    assert answer.json()["labels"] == {"team": "vision"}


@on_sqlite
def test_the_documented_json_is_accepted(api: TestClient) -> None:
    assert api.post("/v1/jobs", json=examples.SMALLEST).status_code == 202


def test_one_key_makes_one_job(api: TestClient) -> None:
    first, second = submit(api, "k"), submit(api, "k")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]
    assert len(api.get("/v1/jobs").json()["jobs"]) == 1


def test_a_key_for_another_spec_is_refused(api: TestClient) -> None:
    submit(api, "k")
    problem = submit(api, "k", priority=3)
    assert problem.status_code == 409
    assert problem.json()["type"] == "/problems#idempotency-key-reused"


@on_sqlite
@pytest.mark.parametrize("key", ["k" * 201, "with space", "käse".encode()])
def test_a_key_that_is_none_is_refused(api: TestClient, key: str | bytes) -> None:
    answer = api.post("/v1/jobs", json=make_spec(), headers={"Idempotency-Key": key})
    assert answer.status_code == 422


def test_validate_only_resolves_and_stores_nothing(api: TestClient) -> None:
    answer = api.post("/v1/jobs?validate_only=true", json=make_spec())
    assert answer.status_code == 200
    assert {"lr", "batch_size"} <= {parameter["name"] for parameter in answer.json()["space"]}
    assert api.get("/v1/jobs").json()["jobs"] == []


@on_sqlite
def test_a_wrong_spec_names_every_fault_with_its_place(api: TestClient) -> None:
    answer = submit(api, modle="mlp", budget={"trials": 0})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    faults = {fault["pointer"]: fault["detail"] for fault in answer.json()["errors"]}
    assert "did you mean 'model'" in faults["/modle"]
    assert "budget.trials = 0" in faults["/budget/trials"]


@on_sqlite
def test_an_impossible_model_is_refused_with_the_layer_and_the_figure(api: TestClient) -> None:
    space = {"depth": 96, "width": 16, "growth": 2}
    answer = submit(api, model="convnet", space=space)
    assert answer.status_code == 422
    assert "layer 11" in answer.json()["detail"]


def test_jobs_come_newest_first_page_by_page(api: TestClient) -> None:
    made = [submit(api, name=f"job {n}").json()["id"] for n in range(5)]
    seen, token = [], None
    while True:
        page = api.get(
            "/v1/jobs", params={"page_size": 2} | ({"page_token": token} if token else {})
        )
        seen += [job["id"] for job in page.json()["jobs"]]
        token = page.json()["next_page_token"]
        if token is None:
            break
    assert seen == made[::-1]


def test_jobs_are_filtered_by_state_and_label(api: TestClient, database: Database) -> None:
    insert_job(database, state="running")
    labelled = submit(api, labels={"team": "vision"}).json()["id"]
    for query in ("state=queued", "label=team", "label=team%3Dvision"):
        jobs = api.get(f"/v1/jobs?{query}").json()["jobs"]
        assert [job["id"] for job in jobs] == [labelled], query
    assert api.get("/v1/jobs?label=team%3Dsound").json()["jobs"] == []


@on_sqlite
@pytest.mark.parametrize("query", ["page_size=0", "page_size=501", "state=asleep", "page_token=x"])
def test_a_query_that_means_nothing_is_refused(api: TestClient, query: str) -> None:
    answer = api.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == query.partition("=")[0]


def test_an_unchanged_job_is_not_sent_again(api: TestClient, database: Database) -> None:
    job = insert_job(database, version=4)
    tag = api.get(path(job)).headers["etag"]
    again = api.get(path(job), headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    stale = api.get(path(job), headers={"If-None-Match": 'W/"3"'})
    assert (stale.status_code, stale.json()["id"]) == (200, job.ulid)


def test_an_unknown_job_is_not_found_whatever_is_asked_of_it(api: TestClient) -> None:
    for job in ("job_01K9ZX4T8Q6B2N0M5R7V3W1Y8H", "nonsense", "%00", "x" * 3000):
        for rest in ("", "/best", "/trials", "/events", "/trials/0/logs", "/export"):
            answer = api.get(f"/v1/jobs/{job}{rest}", headers={"If-None-Match": 'W/"1"'})
            assert answer.status_code == 404, (job, rest)
            assert answer.json()["type"] == "/problems#job-not-found"


def test_a_change_that_was_applied_is_answered_with_the_job(
    open_api: Open, database: Database
) -> None:
    api, job = open_api(applies(database, ok=True)), insert_job(database)
    answer = api.patch(path(job), json={"revision": 1, "priority": 5})
    assert (answer.status_code, answer.json()["id"]) == (200, job.ulid)


def test_a_change_nobody_applied_yet_is_accepted_and_recorded(
    api: TestClient, database: Database
) -> None:
    job = insert_job(database)
    answer = api.patch(path(job), json={"revision": 1, "priority": 5})
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    assert (answer.json()["job"], answer.json()["request"]) == (job.ulid, "patch")
    assert waiting_requests(database, job) == [("patch", {"revision": 1, "priority": 5})]


def test_a_change_of_a_revision_gone_by_is_refused(api: TestClient, database: Database) -> None:
    job = insert_job(database, revision=3)
    answer = api.patch(path(job), json={"revision": 2, "priority": 5})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems#stale-revision")


def test_what_the_scheduler_refused_is_refused(open_api: Open, database: Database) -> None:
    args = {"job": "j", "given": 1, "current": 2}
    api = open_api(applies(database, ok=False, error="StaleRevision", args=args))
    answer = api.patch(path(insert_job(database)), json={"revision": 1, "priority": 5})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems#stale-revision")


@pytest.mark.parametrize(
    ("verb", "state"), [("pause", "running"), ("resume", "paused"), ("cancel", "running")]
)
def test_a_verb_is_accepted_and_recorded_once(
    api: TestClient, database: Database, verb: str, state: str
) -> None:
    job = insert_job(database, state=state)
    for _ in range(2):
        answer = api.post(f"{path(job)}/{verb}")
        assert (answer.status_code, answer.json()["state"]) == (202, state)
    assert waiting_requests(database, job) == [(verb, {})]


def test_a_refused_verb_names_both_states(api: TestClient, database: Database) -> None:
    answer = api.post(f"{path(insert_job(database, state='succeeded'))}/pause")
    assert answer.status_code == 409
    assert "succeeded" in answer.json()["detail"]
    assert "paused" in answer.json()["detail"]


def test_a_finished_job_is_deleted(open_api: Open, database: Database) -> None:
    api, job = open_api(applies(database, ok=True)), insert_job(database, state="failed")
    answer = api.delete(path(job))
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_live_job_is_not_deleted(api: TestClient, database: Database) -> None:
    assert api.delete(path(insert_job(database))).status_code == 409


def test_a_job_shows_its_counts_and_its_best_trial(api: TestClient, database: Database) -> None:
    job = insert_job(database)
    insert_trials(database, job, [{"value": 0.7}, {"value": 0.9}, {"state": "failed"}])
    answer = api.get(path(job)).json()
    assert answer["best"]["value"] == 0.9
    assert (answer["counts"]["completed"], answer["counts"]["failed"]) == (2, 1)
