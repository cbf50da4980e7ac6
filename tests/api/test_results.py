"""Best trials, files and single trials over HTTP."""

import csv
import errno
import io
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import get_all_study_summaries
from starlette.testclient import TestClient

from tests.api.conftest import applies, on_sqlite
from tests.factories import (
    StoredJob,
    insert_attempt,
    insert_job,
    insert_metrics,
    insert_trials,
    waiting_requests,
)
from tuner.artifacts.folder import FolderStore
from tuner.db import Database
from tuner.errors import FormatUnavailable
from tuner.service import Service
from tuner.settings import Settings
from tuner.workers.logs import CappedLog

Open = Callable[..., TestClient]


@pytest.fixture
def job(database: Database) -> StoredJob:
    """A job with five trials: the third is best, the fourth was pruned, the last runs."""
    job = insert_job(database)
    values: list[dict[str, object]] = [{"value": 0.7}, {"value": 0.8}, {"value": 0.9}]
    values += [{"value": 0.95, "state": "pruned"}, {"state": "running"}]
    insert_trials(database, job, values)
    return job


@pytest.fixture
def path(job: StoredJob) -> str:
    return f"/v1/jobs/{job.ulid}"


def write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def test_the_best_trials_come_best_first(api: TestClient, path: str) -> None:
    answer = api.get(f"{path}/best?k=2").json()
    assert [trial["number"] for trial in answer["best"]] == [2, 1]
    assert (answer["metric"], answer["direction"]) == ("val_accuracy", "maximize")


@on_sqlite
@pytest.mark.parametrize("k", ["0", "501", "many"])
def test_an_absurd_number_of_best_trials_is_refused(api: TestClient, path: str, k: str) -> None:
    assert api.get(f"{path}/best?k={k}").status_code == 422


def test_a_job_without_a_result_says_so(api: TestClient, database: Database) -> None:
    answer = api.get(f"/v1/jobs/{insert_job(database).ulid}/best")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems#no-completed-trial")


@on_sqlite
def test_a_format_that_lacks_its_packages_is_a_501_that_names_the_remedy(
    api: TestClient, job: StoredJob, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Service, job: str, file_format: str) -> Path:
        raise FormatUnavailable(file_format, "ONNX needs onnx: pip install 'tuner[onnx]'.")

    monkeypatch.setattr(Service, "best_model", refuse)
    answer = api.get(f"{path}/best/model?format=onnx")
    assert (answer.status_code, answer.json()["type"]) == (501, "/problems#format-unavailable")
    assert "pip install 'tuner[onnx]'" in answer.json()["detail"]


@on_sqlite
def test_an_unknown_format_is_refused_with_those_there_are(api: TestClient, path: str) -> None:
    answer = api.get(f"{path}/best/model?format=pickle")
    assert answer.status_code == 422
    assert "'safetensors', 'torch_export' or 'onnx'" in answer.json()["detail"]


@on_sqlite
def test_the_card_is_markdown(api: TestClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api.get(f"{path}/best/card").status_code == 404
    monkeypatch.setattr(Service, "best_card", lambda self, job: "# digits")
    answer = api.get(f"{path}/best/card")
    assert answer.text == "# digits"
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"


def test_the_best_model_is_sent_as_a_file_whole_or_in_part(
    api: TestClient, database: Database, settings: Settings
) -> None:
    job = insert_job(database)
    insert_trials(database, job, [{"value": 0.9, "model_uri": "jobs/j/model.safetensors"}])
    write(settings.artifacts / "jobs/j/model.safetensors", b"weights")
    address = f"/v1/jobs/{job.ulid}/best/model"
    whole, part = api.get(address), api.get(address, headers={"Range": "bytes=2-4"})
    assert whole.content == b"weights"
    assert f'filename="{job.ulid}.safetensors"' in whole.headers["content-disposition"]
    assert (part.status_code, part.content) == (206, b"igh")
    assert api.get(f"/v1/jobs/{job.ulid}/best").json()["model_url"] == address


def test_a_model_that_goes_while_it_is_asked_for_is_not_found(
    api: TestClient, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Service, "best_model", lambda *_: tmp_path / "gone.safetensors")
    answer = api.get(f"{path}/best/model")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems#artifact-not-found")


def test_a_model_for_whose_copy_there_is_no_room_is_an_answer_of_its_own(
    api: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    job = insert_job(database)
    insert_trials(database, job, [{"value": 0.9, "model_uri": "jobs/j/model.safetensors"}])
    monkeypatch.setattr(FolderStore, "fetch", full)
    answer = api.get(f"/v1/jobs/{job.ulid}/best/model")
    assert (answer.status_code, answer.json()["type"]) == (507, "/problems#disk-full")


def test_a_model_that_is_not_kept_is_not_found(api: TestClient, path: str) -> None:
    answer = api.get(f"{path}/best/model")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems#artifact-not-found")


def test_trials_are_exported_as_a_table(api: TestClient, path: str) -> None:
    answer = api.get(f"{path}/export?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [float(row["value"]) for row in rows[:3]] == [0.7, 0.8, 0.9]


def test_trials_are_exported_as_parquet(api: TestClient, path: str) -> None:
    table = pq.read_table(io.BytesIO(api.get(f"{path}/export?format=parquet").content))
    assert table.column("number").to_pylist() == [0, 1, 2, 3, 4]


@on_sqlite
def test_an_unknown_format_is_refused(api: TestClient, path: str) -> None:
    assert api.get(f"{path}/export?format=xlsx").status_code == 422


def test_trials_are_exported_as_a_study_that_optuna_opens(
    api: TestClient, path: str, tmp_path: Path
) -> None:
    journal = tmp_path / "optuna.journal"
    journal.write_bytes(api.get(f"{path}/export?format=optuna").content)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    [study] = get_all_study_summaries(storage)
    assert study.best_trial is not None
    assert study.best_trial.value == 0.9


def test_importances_sum_to_one(api: TestClient, database: Database) -> None:
    job = insert_job(database)
    rows = [{"value": n / 20, "params": {"lr": 10 ** (-n / 8), "depth": n % 3}} for n in range(20)]
    insert_trials(database, job, rows)
    answer = api.get(f"/v1/jobs/{job.ulid}/importances").json()
    assert sum(answer["importances"].values()) == pytest.approx(1)
    assert answer["importances"]["lr"] == max(answer["importances"].values())


def test_trials_are_listed_by_value_page_by_page(api: TestClient, path: str) -> None:
    first = api.get(f"{path}/trials?sort=-value&page_size=3").json()
    token = first["next_page_token"]
    second = api.get(f"{path}/trials?sort=-value&page_size=3&page_token={token}").json()
    numbers = [trial["number"] for trial in first["trials"] + second["trials"]]
    assert (numbers, second["next_page_token"]) == ([3, 2, 1, 0], None)


def test_trials_are_filtered_by_state(api: TestClient, path: str) -> None:
    trials = api.get(f"{path}/trials?state=running").json()["trials"]
    assert [trial["number"] for trial in trials] == [4]


@on_sqlite
@pytest.mark.parametrize("query", ["sort=colour", "state=asleep", "page_size=501", "page_token=é"])
def test_a_listing_that_means_nothing_is_refused(api: TestClient, path: str, query: str) -> None:
    assert api.get(f"{path}/trials?{query}").status_code == 422


def test_given_parameters_become_a_trial(open_api: Open, database: Database, path: str) -> None:
    api = open_api(applies(database, ok=True, number=4))
    answer = api.post(f"{path}/trials", json={"params": {"lr": 0.01}})
    assert (answer.status_code, answer.json()["number"]) == (201, 4)
    assert answer.headers["location"] == f"{path}/trials/4"


def test_given_parameters_nobody_took_up_yet_are_recorded(
    api: TestClient, database: Database, job: StoredJob, path: str
) -> None:
    answer = api.post(f"{path}/trials", json={"params": {"lr": 0.01}})
    assert (answer.status_code, answer.json()["request"]) == (202, "enqueue")
    assert waiting_requests(database, job) == [("enqueue", {"params": {"lr": 0.01}})]


@on_sqlite
@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"params": {"lr": "fast"}}, "/params/lr"),
        ({"params": {"lrr": 0.1}}, "/params/lrr"),
        ({"params": {"lr": [1]}}, "/params/lr"),
        ({"parms": {}}, "/parms"),
    ],
)
def test_parameters_that_are_none_are_refused_with_their_place(
    api: TestClient, path: str, document: dict[str, object], pointer: str
) -> None:
    answer = api.post(f"{path}/trials", json=document)
    assert answer.status_code == 422
    assert pointer in {fault["pointer"] for fault in answer.json()["errors"]}


def test_a_trial_shows_its_attempts_and_its_curves(
    api: TestClient, database: Database, job: StoredJob, path: str
) -> None:
    [trial] = insert_trials(database, job, [{"attempts": 2, "value": 0.6}])
    insert_attempt(database, job, trial, state="lost", reason="worker_lost", finished_at=None)
    insert_attempt(database, job, trial, ordinal=2, state="succeeded", beside=41)
    insert_metrics(database, trial, [{"val_accuracy": 0.5}, {"val_accuracy": None}])
    assert api.get(f"{path}/trials/5").json()["value"] == 0.6
    attempts = api.get(f"{path}/trials/5/attempts").json()["attempts"]
    assert [attempt["state"] for attempt in attempts] == ["lost", "succeeded"]
    assert [attempt["beside"] for attempt in attempts] == [None, 41]
    points = api.get(f"{path}/trials/5/metrics").json()["points"]
    assert [point["values"] for point in points] == [{"val_accuracy": 0.5}, {"val_accuracy": None}]


@on_sqlite
@pytest.mark.parametrize("rest", ["", "/attempts", "/metrics", "/logs"])
@pytest.mark.parametrize(
    ("number", "status"), [("99", 404), ("-1", 422), ("1e3", 422), ("9" * 30, 422)]
)
def test_a_trial_that_is_not_there_is_not_found(
    api: TestClient, path: str, rest: str, number: str, status: int
) -> None:
    assert api.get(f"{path}/trials/{number}{rest}").status_code == status


@pytest.fixture
def attempt(database: Database, job: StoredJob, settings: Settings) -> int:
    """An ended attempt of trial 5 that wrote a hundred bytes."""
    [trial] = insert_trials(database, job, [{}])
    insert_attempt(database, job, trial)
    newest = insert_attempt(database, job, trial, ordinal=2, state="succeeded")
    with CappedLog(settings.artifacts / f"logs/{newest}.log") as log:
        log.write(b"0123456789" * 10)
    return newest


@on_sqlite
@pytest.mark.parametrize(
    ("wanted", "status", "content", "shown"),
    [
        (None, 200, b"0123456789" * 10, None),
        ("bytes=0-4", 206, b"01234", "bytes 0-4/100"),
        ("bytes=95-", 206, b"56789", "bytes 95-99/100"),
        ("bytes=-3", 206, b"789", "bytes 97-99/100"),
        ("bytes=90-500", 206, b"0123456789", "bytes 90-99/100"),
        ("bytes=9-2", 200, b"0123456789" * 10, None),
        ("lines=1-2", 200, b"0123456789" * 10, None),
        ("bytes=0-1,5-6", 200, b"0123456789" * 10, None),
    ],
)
def test_a_log_is_sent_whole_or_in_part(
    api: TestClient, path: str, attempt: int, wanted: str | None, status: int,
    content: bytes, shown: str | None,
) -> None:  # fmt: skip
    headers = {"Range": wanted} if wanted else {}
    answer = api.get(f"{path}/trials/5/logs", headers=headers)
    assert (answer.status_code, answer.content) == (status, content)
    assert answer.headers.get("content-range") == shown
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@on_sqlite
@pytest.mark.parametrize("wanted", ["bytes=100-", "bytes=-0", "bytes=500-600"])
def test_a_range_beyond_the_log_cannot_be_satisfied(
    api: TestClient, path: str, attempt: int, wanted: str
) -> None:
    answer = api.get(f"{path}/trials/5/logs", headers={"Range": wanted})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */100")
    assert answer.headers["content-type"] == "application/problem+json"


@on_sqlite
def test_the_log_of_an_ended_attempt_is_followed_to_its_end(
    api: TestClient, path: str, attempt: int
) -> None:
    assert api.get(f"{path}/trials/5/logs?follow=true").content == b"0123456789" * 10


def test_each_attempt_has_a_log_of_its_own(api: TestClient, path: str, attempt: int) -> None:
    former = api.get(f"{path}/trials/5/logs?attempt={attempt - 1}")
    assert (former.status_code, former.content) == (200, b"")
    for stranger in (attempt + 1, 2**62):
        for follow in ("false", "true"):
            answer = api.get(f"{path}/trials/5/logs?attempt={stranger}&follow={follow}")
            assert answer.json()["type"] == "/problems#artifact-not-found"
