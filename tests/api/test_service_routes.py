"""Catalogue, workers, probes and metrics over HTTP."""

from datetime import datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from app.routes.catalog import KINDS
from tests.api.conftest import on_sqlite
from tests.factories import FULL, insert_attempt, insert_host, insert_job, insert_trials, make_spec
from tuner.clock import utc_now
from tuner.db import Database
from tuner.settings import Settings
from tuner.slots import Device, Inventory
from tuner.store import hosts


@on_sqlite
@pytest.mark.parametrize("kind", KINDS)
def test_the_catalogue_names_what_a_spec_may_name(api: TestClient, kind: str) -> None:
    entries = api.get(f"/v1/{kind}").json()["entries"]
    assert entries
    assert all(entry["name"] and entry["summary"] for entry in entries)


def test_workers_are_shown_with_their_devices(api: TestClient, database: Database) -> None:
    job = insert_job(database)
    [trial] = insert_trials(database, job, [{"state": "running"}])
    insert_host(database, "here", utc_now())
    attempt = insert_attempt(database, job, trial)
    [host] = api.get("/v1/workers").json()["hosts"]
    assert host["alive"]
    assert {device["name"] for device in host["devices"]} == {"cpu", "cuda:0"}
    assert [worker["attempt"] for worker in host["workers"]] == [attempt]


@on_sqlite
def test_a_device_in_quarantine_says_until_when(api: TestClient, database: Database) -> None:
    until = utc_now() + timedelta(minutes=5)
    gpu = Device(
        name="cuda:0", kind="cuda", capacity=1, free=1, memory_mb=1, quarantined_until=until
    )
    with database.writing() as connection:
        hosts.beat(connection, Inventory(host="here", devices=(gpu,)), None, utc_now())
    [device] = api.get("/v1/workers").json()["hosts"][0]["devices"]
    assert datetime.fromisoformat(device["quarantined_until"]) == until


@on_sqlite
@pytest.mark.parametrize(("path", "status"), [("/healthz", "alive"), ("/readyz", "ready")])
def test_probes_say_how_it_is(api: TestClient, path: str, status: str) -> None:
    assert api.get(path).json() == {"status": status}


def test_a_database_of_another_version_is_not_ready(api: TestClient, database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE tuner_schema SET version_num = '9999'")
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems#schema-mismatch")
    assert answer.json()["hint"].startswith("A newer version of this program wrote the database")


def test_metrics_and_hosts_tell_what_files_take(api: TestClient, database: Database) -> None:
    assert "tuner_disk" not in api.get("/metrics").text
    insert_host(database, "here", disk=FULL)
    text = api.get("/metrics").text
    assert 'tuner_disk_used_bytes{files="artifacts"} 2.5e+09' in text
    assert 'tuner_disk_used_bytes{files="datasets"} 50.0' in text
    assert 'tuner_disk_limit_bytes{files="cache"} 40.0' in text
    assert api.get("/v1/workers").json()["hosts"][0]["disk"] == FULL


def test_a_job_that_finds_no_room_is_a_507_with_the_remedy(
    api: TestClient, database: Database
) -> None:
    insert_host(database, "here", disk=FULL)
    answer = api.post("/v1/jobs", json=make_spec())
    assert (answer.status_code, answer.json()["type"]) == (507, "/problems#disk-limit-reached")
    assert "TUNER_DISK_GB" in answer.json()["hint"]


def test_a_job_tells_what_its_files_take(
    api: TestClient, database: Database, settings: Settings
) -> None:
    job = insert_job(database)
    address = f"/v1/jobs/{job.ulid}"
    assert api.get(address).json()["disk_bytes"] == 0
    folder = settings.artifacts / "jobs" / job.ulid / "trials" / "0"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(123))
    assert api.get(address).json()["disk_bytes"] == 123


def test_metrics_count_jobs_and_trials(api: TestClient, database: Database) -> None:
    job = insert_job(database)
    insert_trials(database, job, [{}, {}, {"state": "pruned"}])
    answer = api.get("/metrics")
    figures = {
        (sample.name, sample.labels.get("state")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert figures["tuner_jobs", "running"] == 1
    assert figures["tuner_jobs", "failed"] == 0
    assert figures["tuner_trials", "completed"] == 2
    assert figures["tuner_trials", "pruned"] == 1
    assert figures["tuner_busy_seconds_total", None] == 0
