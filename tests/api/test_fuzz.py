"""No input makes the service fail: whatever is sent is answered, or refused with a problem."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.factories import insert_attempt, insert_events, insert_job, insert_trials, make_spec
from tuner.db import Database

#: The application and its database serve all examples: what one leaves is the next one's world.
many = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["lr", "model", "convnet", "adamw", "auto", "\x00", "\ud800", "1e400", "-"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from(
    ["model", "data", "loss", "optimizer", "metric", "space", "start", "budget", "parallel",
     "labels", "constraints", "search", "resources", "limits", "revision", "params", "priority",
     "name"]
)  # fmt: skip
documents = values | st.dictionaries(keys | st.text(max_size=6), values, max_size=6)
hostile = st.sampled_from(
    ["", "0", "-1", "9" * 40, "x", "%00", "%ff", "..", "%2e%2e", "é", "job_", "'", '"', "`;--",
     "{}", "1e9", "true", "null", " ", "\u202e", "%F0%9F", "a" * 2000]
)  # fmt: skip


@pytest.fixture
def job(database: Database) -> str:
    job = insert_job(database)
    [trial, *_] = insert_trials(database, job, [{}, {"state": "running"}, {"state": "failed"}])
    insert_attempt(database, job, trial, state="succeeded")
    insert_events(database, job, ["submitted", "started"])
    return job.ulid


def check(answer: Any) -> None:
    assert answer.status_code < 500, (answer.request.method, answer.request.url, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


def bodies(document: object) -> Iterator[tuple[bytes, str]]:
    text = json.dumps(document)  # surrogates escaped, NaN and Infinity as JSON has them not
    yield text.encode(), "application/json"
    yield text.encode(), "application/yaml"


@many
@given(document=documents)
def test_no_document_makes_a_submission_fail(api: TestClient, document: object) -> None:
    for content, kind in bodies(document):
        check(api.post("/v1/jobs", content=content, headers={"content-type": kind}))


@many
@given(changes=st.dictionaries(keys, values, min_size=1, max_size=3))
def test_no_change_of_a_good_spec_makes_a_submission_fail(
    api: TestClient, changes: dict[str, Any]
) -> None:
    for content, kind in bodies(make_spec(**changes)):
        answer = api.post("/v1/jobs", content=content, headers={"content-type": kind})
        check(answer)
        if answer.status_code == 202:
            check(api.get(answer.headers["location"]))


@many
@given(document=documents, raw=st.binary(max_size=30))
def test_no_document_makes_a_change_fail(
    api: TestClient, job: str, document: object, raw: bytes
) -> None:
    contents = [*bodies(document), (raw, "application/json"), (raw, "application/yaml")]
    for content, kind in contents:
        headers = {"content-type": kind}
        check(api.patch(f"/v1/jobs/{job}", content=content, headers=headers))
        check(api.post(f"/v1/jobs/{job}/trials", content=content, headers=headers))


@many
@given(
    params=st.dictionaries(st.sampled_from(["lr", "batch_size", "depth", "dropout"]), scalars),
    budget=st.dictionaries(st.sampled_from(["trials", "hours", "target", "patience"]), scalars),
)
def test_no_value_makes_a_change_fail(
    api: TestClient, job: str, params: dict[str, Any], budget: dict[str, Any]
) -> None:
    json_header = {"content-type": "application/json"}
    trial = json.dumps({"params": params}).encode()
    patch = json.dumps({"revision": 1, "budget": budget}).encode()
    check(api.post(f"/v1/jobs/{job}/trials", content=trial, headers=json_header))
    check(api.patch(f"/v1/jobs/{job}", content=patch, headers=json_header))


PLACES = """, /best, /best/model, /best/card, /importances, /export, /trials, /trials/0,
/trials/0/attempts, /probes, /probes/1/logs,
/trials/0/metrics, /trials/0/logs, /pause, /nothing""".replace("\n", " ").split(", ")
QUERIES = """k, state, label, sort, page_size, page_token, format, attempt, follow, after,
validate_only""".replace("\n", " ").split(", ")
latin = st.text(st.characters(min_codepoint=32, max_codepoint=255))
HEADERS = ["if-none-match", "range", "last-event-id", "idempotency-key", "x-request-id", "accept"]


@many
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "HEAD"]),
    place=st.sampled_from(PLACES),
    known=st.booleans(),
    part=hostile,
    query=st.dictionaries(st.sampled_from(QUERIES), hostile | st.text(max_size=5), max_size=3),
    headers=st.dictionaries(
        st.sampled_from(HEADERS),
        st.text(st.characters(min_codepoint=32, max_codepoint=255)),
        max_size=2,
    ),
)
def test_no_address_makes_the_service_fail(
    api: TestClient, job: str, method: str, place: str, known: bool, part: str,
    query: dict[str, str], headers: dict[str, str],
) -> None:  # fmt: skip
    if method == "DELETE" or part == "..":
        known = False
    path = f"/v1/jobs/{job}{place}" if known else f"/v1/jobs/{part}{place}"
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = api.request(method, path, params=_encodable(query), headers=sent)
    if method == "HEAD":
        assert answer.status_code < 500
    else:
        check(answer)


@many
@given(number=hostile | st.integers().map(str), rest=st.sampled_from(["", "/logs", "/metrics"]))
def test_no_number_makes_the_service_fail(
    api: TestClient, job: str, number: str, rest: str
) -> None:
    check(api.get(f"/v1/jobs/{job}/trials/{number}{rest}"))


@many
@given(
    method=st.sampled_from(["POST", "PATCH", "HEAD", "DELETE", "GET"]),
    place=st.sampled_from(["/v1/datasets", "/v1/datasets/{}", "/v1/uploads/{}"]),
    part=hostile,
    query=st.dictionaries(
        st.sampled_from(["name", "filename", "sha256"]),
        hostile | st.sampled_from(["points", "0" * 64]) | st.text(max_size=5),
    ),
    headers=st.dictionaries(
        st.sampled_from(["upload-complete", "upload-length", "upload-offset", "content-length"]),
        latin | st.sampled_from(["?0", "0", "7", "9" * 30]),
    ),
    content=st.binary(max_size=20),
)
def test_no_upload_makes_the_service_fail(
    api: TestClient, method: str, place: str, part: str, query: dict[str, str],
    headers: dict[str, str], content: bytes,
) -> None:  # fmt: skip
    if part == "..":
        place = "/v1/datasets"
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = api.request(
        method, place.format(part), params=_encodable(query), headers=sent, content=content
    )
    if method == "HEAD":
        assert answer.status_code < 500
    else:
        check(answer)


def _encodable(query: dict[str, str]) -> dict[str, str]:
    return {name: value.encode(errors="replace").decode() for name, value in query.items()}
