"""What reaches a command of the server's environment, and where its program is looked up."""

import os
import sys
from pathlib import Path

import pytest

from tuner.foreign.surroundings import ProgramMissing, inherited, meeting_place, program_path, told

SECRETS = (
    "TUNER_API_TOKEN",
    "TUNER_DATABASE_URL",
    "TUNER_ARTIFACTS",
    "PGPASSWORD",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "FSSPEC_S3_SECRET",
)


def test_what_opens_the_servers_database_and_store_stays_with_the_server() -> None:
    environ = dict.fromkeys(SECRETS, "secret") | {"HOME": "/h", "TUNER_WORKER_OF": "me"}
    kept = inherited(environ)
    assert "secret" not in kept.values()
    assert (kept["HOME"], kept["TUNER_WORKER_OF"]) == ("/h", "me")


def test_the_programs_of_this_python_come_first() -> None:
    kept = inherited({"PATH": "/one:/two", "PYTHONUNBUFFERED": ""})
    assert kept["PATH"] == f"{Path(sys.executable).parent}:/one:/two"
    assert kept["PYTHONUNBUFFERED"] == ""


def test_facts_are_told_as_text() -> None:
    facts = {"job": "job_1", "trial": 3, "params": {"lr": 1e-5, "on": True}}
    assert told(facts) == {
        "TUNER_JOB": "job_1",
        "TUNER_TRIAL": "3",
        "TUNER_PARAMS": '{"lr": 1e-05, "on": true}',
    }


def test_two_trials_do_not_meet_at_one_port() -> None:
    first, second = meeting_place(), meeting_place()
    assert first["MASTER_PORT"] == first["PET_MASTER_PORT"] != "29500"
    assert first != second


def test_a_program_is_found_by_name_on_the_path_and_by_path_from_the_folder(
    tmp_path: Path,
) -> None:
    program = tmp_path / "bin" / "train"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    found = str(program)
    assert program_path("train", tmp_path, str(program.parent)) == found
    assert program_path("bin/train", tmp_path, "") == found
    assert program_path(found, Path("/"), "") == found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("train", "no folder of PATH has such a program"),
        ("./train", "there is no "),
        ("bin/train", "is not executable; chmod"),
        ("./bin", "is no file"),
    ],
)
def test_a_program_that_cannot_be_started_is_told(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "train").write_text("print()")
    with pytest.raises(ProgramMissing, match=said):
        program_path(name, tmp_path, os.defpath)
