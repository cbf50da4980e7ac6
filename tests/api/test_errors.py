"""Every failure is a problem document, and tells nothing that is not the client's business."""

from collections.abc import Callable, Iterator

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from app.errors import STATUSES
from tests.api.conftest import ADDRESS
from tests.factories import make_spec
from tuner.db import Database
from tuner.errors import TunerError
from tuner.service import Service
from tuner.settings import Settings
from tuner.views import Problem

JSON = {"content-type": "application/json"}
Open = Callable[..., TestClient]


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: the database has no part in these."""
    return sqlite_database


def problem_of(answer: Response) -> Problem:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content)
    assert problem.status == answer.status_code
    assert problem.request_id == answer.headers["x-request-id"]
    assert problem.instance == answer.request.url.path
    return problem


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/jobs/", "/v1/job", "/pages/nothing.js"])
def test_an_address_with_nothing_at_it_is_a_problem(api: TestClient, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 404
    problem_of(answer)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", "GET, POST"),
        ("POST", "/v1/jobs/x", "GET, PATCH, DELETE"),
        ("DELETE", "/v1/jobs/x/pause", "POST"),
        ("POST", "/", "GET"),
        ("POST", "/pages/index.js", "GET"),
        ("POST", "/api/studies", "GET, HEAD"),
        ("POST", "/v1/uploads/x", "HEAD, PATCH, DELETE"),
    ],
)
def test_a_wrong_method_is_a_problem_that_names_the_right_ones(
    api: TestClient, method: str, path: str, allowed: str
) -> None:
    answer = api.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert allowed in problem_of(answer).detail


def test_a_body_declared_too_large_is_not_read(open_api: Open) -> None:
    api = open_api(max_body_bytes=2000)
    answer = api.post("/v1/jobs", content=b" " * 2001, headers=JSON)
    assert answer.status_code == 413
    assert "2,000 bytes" in problem_of(answer).detail


def test_a_body_that_grows_too_large_is_cut_off(open_api: Open) -> None:
    def endless() -> Iterator[bytes]:
        yield from (b" " * 500 for _ in range(5))

    api = open_api(max_body_bytes=2000)
    answer = api.post("/v1/jobs", content=endless(), headers=JSON)
    assert answer.status_code == 413
    problem_of(answer)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
def test_a_body_of_another_kind_is_refused(api: TestClient, kind: str) -> None:
    answer = api.post("/v1/jobs", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415
    assert "application/json" in (problem_of(answer).hint or "")


@pytest.mark.parametrize("kind", ["application/json", "application/yaml; charset=utf-8"])
@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'{"a": 1, "a": 2}', b"{" * 9999])
def test_a_body_that_is_no_document_is_refused(api: TestClient, kind: str, body: bytes) -> None:
    answer = api.post("/v1/jobs", content=body, headers={"content-type": kind})
    assert answer.status_code == 422
    assert problem_of(answer).type == "/problems#spec-invalid"


def test_parameters_are_refused_with_name_and_value(api: TestClient) -> None:
    problem = problem_of(api.get("/v1/jobs?page_size=many"))
    assert (problem.status, problem.errors[0].pointer) == (422, "page_size")
    assert "page_size = 'many'" in problem.detail


class Broken(Service):
    """A service with a defect, or whose database has gone."""

    error: Exception = RuntimeError("secret of /home/ada")

    def jobs(self, **filters: object) -> None:  # type: ignore[override]
        raise self.error


def test_a_defect_is_answered_without_its_secrets(
    api: TestClient, database: Database, settings: Settings
) -> None:
    api.app.state.service = Broken(database, settings)  # type: ignore[attr-defined]
    answer = api.get("/v1/jobs", headers={"x-request-id": "my-request"})
    assert answer.status_code == 500
    assert problem_of(answer).request_id == "my-request"
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text


def test_a_request_id_that_is_none_is_replaced(api: TestClient) -> None:
    given = "x" * 65
    assert api.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"] != given


def test_without_a_database_the_api_lives_but_is_not_ready(open_api: Open) -> None:
    api = open_api(database_url="postgresql://nobody@127.0.0.1:1/nothing")
    api.app.state.service = Service(  # type: ignore[attr-defined]
        Database("postgresql://nobody@127.0.0.1:1/nothing"), Settings()
    )
    assert api.get("/healthz").status_code == 200
    for path in ("/readyz", "/v1/jobs", "/v1/workers", "/metrics"):
        answer = api.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert problem_of(answer).type == "/problems#store-unavailable"
    assert api.post("/v1/jobs", json=make_spec()).status_code == 503


def test_every_kind_of_error_is_listed_with_its_meaning(api: TestClient) -> None:
    kinds = {kind["type"]: kind for kind in api.get("/problems").json()["problems"]}
    assert kinds["/problems#stale-revision"]["status"] == 409
    assert len(kinds) == len(STATUSES)


def test_every_error_the_service_may_raise_has_a_status() -> None:
    outside = {
        "SchedulerBusy",  # 202: accepted, not applied yet
        "LeadershipTaken",  # the scheduler's own
    }
    ours = {kind for kind in TunerError.__subclasses__() if kind.__module__ == "tuner.errors"}
    assert {kind.__name__ for kind in ours - set(STATUSES)} == outside


def test_errors_name_the_address_without_the_query(api: TestClient) -> None:
    answer = api.get("/nothing%0Ahere?token=secret")
    assert "secret" not in answer.text
    assert answer.request.url.host in ADDRESS
