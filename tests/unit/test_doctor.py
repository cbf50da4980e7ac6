"""What the doctor says of a sound machine, and of one where something is wrong."""

import json
import socket
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tuner.cli import app
from tuner.db import Database
from tuner.schema import upgrade
from tuner.serving import doctor
from tuner.serving.doctor import Finding, examine
from tuner.settings import Settings


def only(check: doctor.Check, settings: Settings) -> Finding:
    (finding,) = examine(settings, [check])
    return finding


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


def test_files_that_take_too_much_are_broken(settings: Settings) -> None:
    (settings.artifacts / "jobs").mkdir(parents=True)
    (settings.artifacts / "jobs" / "file").write_bytes(bytes(1500))
    assert only(doctor.disk, settings).status == "ok"
    finding = only(doctor.disk, settings.model_copy(update={"disk_gb": 1e-6}))
    assert finding.status == "broken"
    assert "1.5 kB of checkpoints, networks and logs (TUNER_DISK_GB allows 1 kB)" in finding.detail
    assert "tuner delete JOB" in finding.remedy


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
    finding = only(doctor.database, settings)
    assert (finding.status, finding.remedy) == ("warning", "tuner db upgrade (to schema 0002)")
    with closing(Database(settings.url)) as database:
        upgrade(database)
    assert only(doctor.database, settings).status == "ok"


def test_a_database_that_does_not_answer_is_broken_and_keeps_its_password(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"postgresql://me:geheim@127.0.0.1:{port}/tuner"
    finding = only(doctor.database, Settings(home=home, database_url=url))
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
