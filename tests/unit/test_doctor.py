"""What the doctor says of a sound machine, and of one where something is wrong."""

import json
import os
import platform
import re
import shutil
import socket
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from tests.factories import insert_job, insert_tried
from tuner.cli import app
from tuner.clock import utc_now
from tuner.db import Database, jobs, trials
from tuner.engines import journal_mode, sqlite3
from tuner.leader.leadership import leading
from tuner.schema import HEAD, upgrade
from tuner.serving import database_findings, doctor
from tuner.serving.doctor import examine
from tuner.serving.findings import Finding
from tuner.settings import Settings
from tuner.slots import Device, Inventory
from tuner.store import hosts


def only(check: doctor.Check, settings: Settings) -> Finding:
    (finding,) = examine(settings, [check])
    return finding


def in_database(settings: Settings) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(settings, [database_findings.database])}


@pytest.mark.usefixtures("home")
def test_a_sound_machine_is_found_so_and_nothing_is_made_on_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNER_PORT", "0")
    result = CliRunner().invoke(app, ["doctor", "--json"])
    findings = json.loads(result.stdout)["findings"]
    assert result.exit_code == 0, findings
    assert {"python", "torch", "device", "home", "disk", "database", "address", "data"} <= {
        finding["subject"] for finding in findings
    }
    assert not home.exists()


@pytest.mark.usefixtures("home")
def test_something_broken_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_HOST", "0.0.0.0")
    monkeypatch.setattr(doctor, "CHECKS", (doctor.python, doctor.address))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "TUNER_API_TOKEN" in result.stdout


def test_a_device_in_quarantine_is_a_warning_as_long_as_it_lasts(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Device(name="cuda:0", kind="cuda", capacity=1, free=1, memory_mb=80 << 10, model="H100")
    idle = Inventory(host="here", devices=(gpu,))
    monkeypatch.setattr(doctor, "inventory", lambda: idle)
    assert only(doctor.devices, settings).status == "ok"
    assert not settings.root.exists(), "nobody made a database"
    settings.root.mkdir(parents=True)
    with closing(Database(settings.url)) as database:
        upgrade(database)
        for minutes, status in ((5, "warning"), (-5, "ok")):
            now = utc_now()
            until = now + timedelta(minutes=minutes)
            found = idle.changed(lambda d, until=until: replace(d, quarantined_until=until))
            with database.writing() as connection:
                hosts.beat(connection, found, None, now)
            finding = only(doctor.devices, settings)
            assert finding.status == status
            assert ("out of use until" in finding.detail) == (status == "warning")


def test_files_that_take_too_much_are_broken(settings: Settings) -> None:
    (settings.artifacts / "jobs").mkdir(parents=True)
    (settings.artifacts / "jobs" / "file").write_bytes(bytes(1500))
    assert only(doctor.disk, settings).status == "ok"
    finding = only(doctor.disk, settings.model_copy(update={"disk_gb": 1e-6}))
    assert finding.status == "broken"
    assert "1.5 kB of checkpoints, networks and logs (TUNER_DISK_GB allows 1 kB)" in finding.detail
    assert "tuner delete JOB" in finding.remedy


def test_whose_code_may_run_is_said_with_what_is_missing_for_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only(doctor.code, Settings(home=home)).detail == "trials may run ours alone"
    settings = Settings(
        home=home, code_roots=(tmp_path / "none",), allowed_code=("a", "b"), allow_commands=True
    )
    monkeypatch.setattr(shutil, "which", lambda name: None)
    said, git, root = examine(settings, [doctor.code])
    listed = f"module a, module b, repositories below {tmp_path}/none, commands"
    assert (said.status, said.detail) == ("ok", f"trials may run {listed}")
    assert (git.status, git.remedy) == ("broken", "Install git.")
    assert (root.status, root.remedy) == ("warning", "Make it.")


def test_a_port_of_another_program_is_broken(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings(home=home, port=other.getsockname()[1])
        finding = only(doctor.address, settings)
    assert finding.status == "broken"
    assert "another program" in finding.detail
    assert "--port" in finding.remedy


def test_a_database_without_schema_is_told_its_remedy(settings: Settings) -> None:
    with closing(Database(settings.url)) as database, database.reading():
        pass
    finding = in_database(settings)["database"]
    assert (finding.status, finding.remedy) == ("warning", f"tuner db upgrade (to schema {HEAD})")
    with closing(Database(settings.url)) as database:
        upgrade(database)
    assert in_database(settings)["database"].status == "ok"


def test_the_database_says_what_it_is_whose_clock_it_has_and_who_leads(
    settings: Settings, sqlite_template: Path
) -> None:
    settings.root.mkdir(parents=True)
    shutil.copy(sqlite_template, settings.root / "tuner.db")
    found = in_database(settings)
    mode = journal_mode(sqlite3.sqlite_version_info).lower()
    assert f"SQLite {sqlite3.sqlite_version}, journal mode {mode}" in found["database"].detail
    assert found["clock"].detail == "the database has this host's"
    assert found["leader"].detail == "no scheduler leads just now"
    with (
        closing(Database(settings.url)) as database,
        leading(database, patience_s=0, waiting=lambda: None),
    ):
        told = in_database(settings)["leader"].detail
    assert told.startswith(f"{platform.node()}:{os.getpid()} leads since 20")
    assert told.endswith("UTC, epoch 1")


@pytest.mark.postgres
def test_a_clock_far_from_the_databases_is_a_warning(
    postgres_database: Database, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_database.url.render_as_string(hide_password=False)
    settings = Settings(home=home, database_url=url)
    found = in_database(settings)
    assert "PostgreSQL 1" in found["database"].detail
    assert (found["clock"].status, found["clock"].remedy) == ("ok", "")
    assert re.fullmatch(r"the database's is [+-]0\.\d\d s from this host's", found["clock"].detail)
    monkeypatch.setattr(database_findings, "utc_now", lambda: utc_now() + timedelta(hours=1))
    far = in_database(settings)["clock"]
    assert far.status == "warning"
    assert far.detail.startswith("the database's is -3600.")
    assert "NTP" in far.remedy


# --- the checkup of the database


@pytest.fixture
def served(database: Database, home: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database that `tuner` takes for its own."""
    url = database.url.render_as_string(hide_password=False)
    monkeypatch.setenv("TUNER_DATABASE_URL", url)
    return database


def test_a_sound_database_is_looked_at_and_found_so(served: Database) -> None:
    insert_tried(served, insert_job(served), [{"value": 0.5}] * 3)
    result = CliRunner().invoke(app, ["doctor", "--check-db"])
    assert result.exit_code == 0, result.stdout
    said = "Looked at 1 jobs, 3 trials, 3 attempts and 0 files: 0 breaches."
    assert result.stdout.splitlines()[-1] == said
    assert "torch" not in result.stdout


def test_what_breaks_an_invariant_is_printed_with_its_remedy_and_an_exit_code(
    served: Database,
) -> None:
    job = insert_job(served)
    (trial,) = insert_tried(served, job, [{"model_uri": "jobs/[x]/m"}])
    with served.writing() as connection:
        connection.execute(sa.update(jobs).values(completed=7))
        connection.execute(sa.update(trials).values(attempts=9))
    text = CliRunner().invoke(app, ["doctor", "--check-db"])
    assert text.exit_code == 1
    assert "3 breaches" in text.stdout
    said = " ".join(text.stdout.split())
    assert f"I1 {job.ulid}: It counts 7 trials completed, and has 1. Stop the service" in said
    assert f"I5 {job.ulid}, trial 0: It says 9 attempts" in said
    assert f"I10 {job.ulid}, trial 0: jobs/[x]/m is not there. Restore" in said
    answer = CliRunner().invoke(app, ["doctor", "--check-db", "--json"])
    assert answer.exit_code == 1
    checkup = json.loads(answer.stdout)["checkup"]
    assert (checkup["jobs"], checkup["trials"], checkup["files"]) == (1, 1, 1)
    assert checkup["breaches"][1] == {
        "invariant": "I5",
        "job": job.ulid,
        "trial": 0,
        "attempt": None,
        "detail": "It says 9 attempts of which 0 count, and has 1 of which 0 count; at most 3 may.",
        "remedy": "Stop the service, then UPDATE trials SET attempts = 1, counted = 0 "
        f"WHERE id = {trial};",
    }


@pytest.mark.usefixtures("home")
def test_there_is_nothing_to_look_at_before_the_first_start(home: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--check-db"])
    assert result.exit_code == 0
    assert "is made by the first `tuner serve`" in result.stdout
    assert not home.exists()


def test_a_database_of_another_schema_is_not_looked_at(settings: Settings) -> None:
    with closing(Database(settings.url)) as database, database.reading():
        pass
    result = CliRunner().invoke(app, ["doctor", "--check-db"])
    assert result.exit_code == 1
    assert "tuner db upgrade" in result.stdout
    assert "Looked at" not in result.stdout


def test_a_database_that_does_not_answer_is_broken_and_keeps_its_password(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"postgresql://me:geheim@127.0.0.1:{port}/tuner"
    finding = only(database_findings.database, Settings(home=home, database_url=url))
    assert finding.status == "broken"
    assert "geheim" not in str(finding)


def test_a_torch_that_cannot_be_imported_is_broken(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = only(doctor.torch, settings)
    assert finding.status == "broken"
    assert "libcudart.so is missing" in finding.detail


def test_data_that_is_not_here_is_a_warning_with_the_way_to_get_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.data.entry.DEBIAN_FASHION_MNIST", Path("/nowhere"))
    digits, fashion, *tables = examine(settings, [doctor.data])
    assert {finding.status for finding in (digits, *tables)} == {"ok"}
    assert fashion.status == "warning"
    assert "dataset-fashion-mnist" in fashion.detail
