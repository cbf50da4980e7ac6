"""The client against a server played by a function: what is asked, repeated, and understood."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tuner.client import (
    AnswerNotUnderstood,
    ApiError,
    Client,
    Job,
    JobAmbiguous,
    ServerUnreachable,
    WaitTimedOut,
)
from tuner.errors import JobNotFound, SchedulerBusy
from tuner.states import JobState

Answer = Callable[[httpx2.Request], httpx2.Response]

ULIDS = ("01J9ZZZZZZZZZZZZZZZZZZZZZA", "01J9ZZZZZZZZZZZZZZZZZZZZZB", "01J8AAAAAAAAAAAAAAAAAAAAAA")


def job_json(number: int = 0, **changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": f"job_{ULIDS[number]}",
        "name": "digits",
        "state": "running",
        "model": "convnet",
        "data": "digits",
        "loss": "cross_entropy",
        "optimizer": "adamw",
        "metric": "val_accuracy",
        "direction": "maximize",
        "counts": {"created": 3, "running": 1, "completed": 2},
        "budget": {"trials": 10, "epochs": 5},
        "parallel": None,
        "priority": 0,
        "labels": {},
        "revision": 1,
        "progress": {"fraction": 0.2, "finished": 2, "elapsed_seconds": 4.0},
        "created_at": "2025-01-01T00:00:00Z",
        "spec": {},
        "space": [],
        "seed": 1,
        "notes": [],
        "data_shape": {},
    }
    return document | changes


def trial_json(number: int) -> dict[str, Any]:
    return {
        "number": number,
        "state": "completed",
        "source": "sampler",
        "params": {"lr": 0.1},
        "value": 0.5,
        "created_at": "2025-01-01T00:00:00Z",
    }


def problem(status: int, **changes: Any) -> httpx2.Response:
    document = {
        "title": "Refused",
        "status": status,
        "detail": "No.",
        "instance": "/v1/jobs",
        "request_id": "r1",
        "hint": "Ask nicely.",
    }
    return httpx2.Response(status, json=document | changes)


def events(*kinds: str, first: int = 1) -> httpx2.Response:
    text = ": keep-alive\n\n"
    for seq, kind in enumerate(kinds, first):
        data = json.dumps({"seq": seq, "kind": kind, "at": "2025-01-01T00:00:00Z"})
        text += f"id: {seq}\nevent: {kind}\ndata: {data}\n\n"
    return httpx2.Response(200, text=text, headers={"content-type": "text/event-stream"})


class Server:
    """Answers the requests in turn with the answers given, and remembers them."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.pauses: list[float] = []
        self.now = 0.0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def client(self) -> Client:
        return Client(
            "http://tuner.test",
            token="secret",
            sleep=self.sleep,
            clock=lambda: self.now,
            transport=httpx2.MockTransport(self),
        )


def broken_stream(response: httpx2.Response) -> httpx2.Response:
    """The response's text, and then a connection that breaks."""

    class Pieces(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield response.content
            raise httpx2.ReadError("connection reset")

    return httpx2.Response(200, stream=Pieces(), headers={"content-type": "text/event-stream"})


def test_a_mapping_is_submitted_as_json_under_a_fresh_key() -> None:
    server = Server(httpx2.Response(202, json=job_json()), httpx2.Response(202, json=job_json()))
    with server.client() as tuner:
        job = tuner.submit({"model": "mlp"})
        tuner.submit({"model": "mlp"})
    first, second = server.requests
    assert json.loads(first.content) == {"model": "mlp"}
    assert first.headers["content-type"] == "application/json"
    assert first.headers["authorization"] == "Bearer secret"
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert job.id == f"job_{ULIDS[0]}"
    assert job.state is JobState.RUNNING


def test_a_file_and_a_text_are_submitted_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("model: mlp\n")
    server = Server(*[httpx2.Response(202, json=job_json()) for _ in range(3)])
    with server.client() as tuner:
        tuner.submit(path)
        tuner.submit(str(path))
        tuner.submit("model: mlp\n")
    assert {request.content for request in server.requests} == {b"model: mlp\n"}
    assert {request.headers["content-type"] for request in server.requests} == {"application/yaml"}


def test_a_submission_whose_answer_was_lost_is_repeated_with_the_same_key() -> None:
    lost = httpx2.ReadError("connection reset")
    server = Server(lost, lost, httpx2.Response(202, json=job_json()))
    with server.client() as tuner:
        tuner.submit({"model": "mlp"})
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1
    assert len(server.requests) == 3
    assert server.pauses == sorted(server.pauses)


def test_an_enqueued_trial_whose_answer_was_lost_is_not_repeated() -> None:
    server = Server(httpx2.ReadError("connection reset"))
    with server.client() as tuner, pytest.raises(ServerUnreachable):
        tuner.enqueue("job_x", {"lr": 0.1})
    assert len(server.requests) == 1


def test_a_request_that_never_left_is_sent_again_whatever_it_was() -> None:
    server = Server(httpx2.ConnectError("refused"), httpx2.Response(201, json=trial_json(4)))
    with server.client() as tuner:
        assert tuner.enqueue("job_x", {"lr": 0.1}).number == 4


def test_a_server_that_stays_away_is_named_with_its_address() -> None:
    server = Server(*[httpx2.ConnectError("refused")] * 4)
    with server.client() as tuner, pytest.raises(ServerUnreachable, match=r"http://tuner\.test"):
        tuner.job("job_x")


def test_a_busy_database_is_asked_again_after_the_time_it_names() -> None:
    busy = problem(503)
    busy.headers["retry-after"] = "1"
    server = Server(busy, httpx2.Response(200, json=job_json()))
    with server.client() as tuner:
        tuner.job("job_x")
    assert server.pauses == [1.0]


def test_a_refusal_carries_the_whole_problem() -> None:
    fault = {"pointer": "/model", "code": "unknown", "detail": "model is unknown."}
    server = Server(problem(422, errors=[fault]))
    with server.client() as tuner, pytest.raises(ApiError, match="No") as caught:
        tuner.submit({"model": "mlpp"})
    assert (caught.value.status, caught.value.hint) == (422, "Ask nicely.")
    assert caught.value.errors[0].pointer == "/model"


def test_the_page_of_a_proxy_becomes_a_problem_too() -> None:
    server = Server(httpx2.Response(502, text="<h1>Bad gateway</h1>"))
    with server.client() as tuner, pytest.raises(ApiError, match="502: <h1>Bad gateway"):
        tuner.job("job_x")


def test_the_answer_of_another_program_is_not_taken_for_ours() -> None:
    server = Server(httpx2.Response(200, text="<h1>It works</h1>"))
    with server.client() as tuner, pytest.raises(AnswerNotUnderstood, match="not understood"):
        tuner.job("job_x")


def test_unknown_fields_of_a_newer_server_are_ignored() -> None:
    server = Server(httpx2.Response(200, json=job_json(mood="good")))
    with server.client() as tuner:
        assert tuner.job("job_x").view.name == "digits"


def test_jobs_are_read_page_by_page_only_as_far_as_needed() -> None:
    pages = [
        httpx2.Response(200, json={"jobs": [job_json(0)], "next_page_token": "t/1="}),
        httpx2.Response(200, json={"jobs": [job_json(1)], "next_page_token": None}),
    ]
    server = Server(*pages)
    with server.client() as tuner:
        found = tuner.jobs(state="running", label="team=vision")
        next(found)
        assert len(server.requests) == 1
        next(found)
    assert server.requests[1].url.params["page_token"] == "t/1="
    assert server.requests[1].url.params["label"] == "team=vision"


@pytest.mark.parametrize(
    ("reference", "number"),
    [("latest", 0), ("job_01j8", 2), ("01J8AAA", 2), ("other", 2)],
)
def test_a_job_is_found_by_what_people_call_it(reference: str, number: int) -> None:
    listed = [job_json(0), job_json(1), job_json(2, name="other")]
    server = Server(httpx2.Response(200, json={"jobs": listed}))
    with server.client() as tuner:
        assert tuner.find(reference).id == f"job_{ULIDS[number]}"


def test_a_whole_id_is_asked_for_directly() -> None:
    server = Server(httpx2.Response(200, json=job_json()))
    with server.client() as tuner:
        tuner.find(f"job_{ULIDS[0]}")
    assert server.requests[0].url.path == f"/v1/jobs/job_{ULIDS[0]}"


@pytest.mark.parametrize("reference", ["digits", "job_01J9"])
def test_a_name_of_several_jobs_is_refused_with_their_ids(reference: str) -> None:
    server = Server(httpx2.Response(200, json={"jobs": [job_json(0), job_json(1)]}))
    with server.client() as tuner, pytest.raises(JobAmbiguous, match=ULIDS[1]):
        tuner.find(reference)


@pytest.mark.parametrize("reference", ["latest", "nobody"])
def test_a_name_of_no_job_is_not_found(reference: str) -> None:
    server = Server(httpx2.Response(200, json={"jobs": []}))
    with server.client() as tuner, pytest.raises(JobNotFound):
        tuner.find(reference)


def test_a_strange_id_stays_one_segment_of_the_path() -> None:
    server = Server(problem(404))
    with server.client() as tuner, pytest.raises(ApiError):
        tuner.job("../../secrets?x=1")
    assert server.requests[0].url.raw_path == b"/v1/jobs/..%2F..%2Fsecrets%3Fx%3D1"


def test_events_go_on_over_a_broken_connection_without_gap_or_repetition() -> None:
    again = events("trial_started", "trial_completed", "succeeded", first=2)
    server = Server(broken_stream(events("submitted", "trial_started")), problem(503), again)
    with server.client() as tuner:
        seen = [event.seq for event in tuner.events("job_x")]
    assert seen == [1, 2, 3, 4]
    assert [request.headers["last-event-id"] for request in server.requests] == ["0", "2", "2"]


def test_events_end_with_the_job_and_not_before() -> None:
    dropped_as_too_slow = events("submitted", "started")
    server = Server(dropped_as_too_slow, events("succeeded", first=3))
    with server.client() as tuner:
        kinds = [event.kind for event in tuner.events("job_x")]
    assert kinds == ["submitted", "started", "succeeded"]


def test_events_of_a_finished_job_that_were_all_seen_are_none() -> None:
    server = Server(events(), httpx2.Response(200, json=job_json(state="failed")))
    with server.client() as tuner:
        assert list(tuner.events("job_x", after=9)) == []


def test_events_of_an_unknown_job_are_refused_at_once() -> None:
    server = Server(problem(404))
    with server.client() as tuner, pytest.raises(ApiError):
        list(tuner.events("job_x"))


def test_events_give_up_when_the_server_stays_away() -> None:
    server = Server(*[httpx2.ConnectError("refused")] * 100)
    with server.client() as tuner, pytest.raises(ServerUnreachable):
        list(tuner.events("job_x"))
    assert 30 < sum(server.pauses) < 120


def test_waiting_ends_with_the_job() -> None:
    answers = [httpx2.Response(200, json=job_json(state=s)) for s in ("queued", "running")]
    server = Server(*answers, httpx2.Response(200, json=job_json(state="failed")))
    with server.client() as tuner:
        assert tuner.wait("job_x").state is JobState.FAILED


def test_waiting_ends_with_its_time() -> None:
    server = Server(*[httpx2.Response(200, json=job_json()) for _ in range(20)])
    with server.client() as tuner, pytest.raises(WaitTimedOut, match="still running after 5 s"):
        tuner.wait("job_x", timeout_s=5)
    assert server.now == pytest.approx(5)


@pytest.mark.parametrize(
    "ask",
    [
        lambda tuner: tuner.enqueue("job_x", {"lr": 0.1}),
        lambda tuner: tuner.patch("job_x", revision=1, priority=2),
        lambda tuner: tuner.delete("job_x"),
    ],
)
def test_a_wish_that_only_waits_is_not_reported_as_done(ask: Callable[[Client], object]) -> None:
    accepted = {"job": "job_x", "request": "patch", "detail": "Recorded."}
    server = Server(httpx2.Response(202, json=accepted))
    with server.client() as tuner, pytest.raises(SchedulerBusy):
        ask(tuner)


def test_a_patch_names_the_revision_that_was_seen() -> None:
    server = Server(httpx2.Response(200, json=job_json(revision=4)))
    with server.client() as tuner:
        job = Job(tuner, tuner.job("job_x").view)
        server.answers.append(httpx2.Response(200, json=job_json(revision=5)))
        assert job.patch(budget={"trials": 20}).view.revision == 5
    assert json.loads(server.requests[1].content) == {"revision": 4, "budget": {"trials": 20}}


def test_a_download_that_breaks_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    server = Server(broken_stream(httpx2.Response(200, content=b"half")))
    with server.client() as tuner, pytest.raises(ServerUnreachable):
        tuner.download_model("job_x", path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "wanted"), [("t.csv", "csv"), ("t.parquet", "parquet"), ("t.journal", "optuna")]
)
def test_an_export_takes_its_format_from_the_file(tmp_path: Path, name: str, wanted: str) -> None:
    server = Server(httpx2.Response(200, content=b"all of it"))
    with server.client() as tuner:
        assert tuner.export("job_x", tmp_path / name).read_bytes() == b"all of it"
    assert server.requests[0].url.params["format"] == wanted


def test_a_job_shows_itself_in_a_notebook_with_foreign_text_escaped() -> None:
    server = Server(httpx2.Response(200, json=job_json(name="<script>alert(1)</script>")))
    with server.client() as tuner:
        html = tuner.job("job_x")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "2 of 10 ended" in html


def test_addresses_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_PORT", "9001")
    with Client() as tuner:
        assert tuner.url == "http://127.0.0.1:9001"
    monkeypatch.setenv("TUNER_URL", "https://tuner.example/")
    with Client() as tuner:
        assert tuner.url == "https://tuner.example"
