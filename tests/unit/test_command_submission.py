"""A job that is a command: what is refused at submission, and what its plan says."""

from typing import Any

import pytest

from tests.factories import NOON
from tuner.db import Database
from tuner.errors import SpecInvalid
from tuner.service import Service
from tuner.settings import Settings
from tuner.states import Direction


def spec(*command: str, **rest: Any) -> dict[str, Any]:
    space = {
        "lr": {"float": [1e-5, 1e-1], "log": True},
        "optimizer": {"choice": ["sgd", "adam"]},
        "momentum": {"float": [0.5, 0.9], "when": {"optimizer": "sgd"}},
    }
    return {"command": list(command), "metric": "loss", "space": space, **rest}


@pytest.fixture
def service(sqlite_database: Database, settings: Settings) -> Service:
    chosen = settings.model_copy(update={"allow_commands": True})
    return Service(sqlite_database, chosen, clock=lambda: NOON)


def faults(service: Service, document: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(SpecInvalid) as refused:
        service.submit(document)
    return [(fault.pointer, fault.detail) for fault in refused.value.faults]


def test_a_command_is_planned_with_its_space_and_a_note_of_what_no_argument_has(
    service: Service,
) -> None:
    document = spec("python", "train.py", "--lr={lr}", "--m={momentum}", direction="minimize")
    plan = service.validate(document)
    assert [parameter["name"] for parameter in plan.space] == ["lr", "optimizer", "momentum"]
    assert (plan.metric, plan.direction) == ("loss", Direction.MINIMIZE)
    assert plan.notes == [
        "No argument has optimizer: the command finds them in TUNER_PARAMS alone."
    ]
    job, is_new = service.submit(document)
    assert is_new
    assert job.name == "python train.py --lr={lr} --m={momentum}"


def test_every_fault_of_the_arguments_is_told(service: Service) -> None:
    found = faults(service, spec("python", "{lrr}", "--m", "{momentum}", direction="minimize"))
    assert [pointer for pointer, _ in found] == ["/command", "/command"]
    assert "did you mean 'lr'?" in found[0][1]
    assert "write '--m={momentum}'" in found[1][1]


def test_a_metric_of_which_nobody_knows_the_direction_wants_one(service: Service) -> None:
    assert faults(service, spec("python", metric="wer")) == [
        ("/direction", "direction is missing: nobody knows which way 'wer' is better.")
    ]


def test_a_server_that_was_not_told_to_runs_no_commands(
    sqlite_database: Database, settings: Settings
) -> None:
    service = Service(sqlite_database, settings, clock=lambda: NOON)
    ((pointer, detail),) = faults(service, spec("python", direction="minimize"))
    assert pointer == "/command"
    assert "TUNER_ALLOW_COMMANDS=1" in detail
