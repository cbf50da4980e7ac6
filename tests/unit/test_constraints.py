"""Constraints between parameters: of jobs of every kind, in plans, in proposals, in grids."""

import json
from typing import Any

import pytest

from tests.studies import study_of
from tuner.errors import SpecInvalid
from tuner.planning.foreign import resolve_command, resolve_objective
from tuner.planning.plan import Plan
from tuner.planning.resolve import resolve
from tuner.search.grid import SpaceExhausted
from tuner.spec import CommandSpec, ObjectiveSpec, TrainingSpec
from tuner.states import TrialState

SPACE = {
    "lr": {"float": [1e-4, 1.0], "log": True, "default": 0.001},
    "batch_size": {"ordered": [16, 32, 64, 128], "default": 16},
    "optimizer": {"choice": ["adam", "sgd"]},
    "momentum": {"float": [0.0, 0.99], "when": {"optimizer": "sgd"}, "default": 0.5},
}


def training(**overrides: Any) -> Plan:
    spec = {"model": "mlp", "data": "digits", "loss": "cross_entropy", "optimizer": "adamw"}
    return resolve(TrainingSpec.parse({**spec, **overrides}), (), ("mypkg",))


def command(**overrides: Any) -> Plan:
    spec = {"command": ["x", "{lr}"], "metric": "val_loss", "space": SPACE}
    return resolve_command(CommandSpec.parse({**spec, **overrides}), allowed=True)


def objective(**overrides: Any) -> Plan:
    spec = {"objective": "mypkg.tuning:train", "space": SPACE}
    return resolve_objective(ObjectiveSpec.parse({**spec, **overrides}), ("mypkg",))


def refused(make: Any, **overrides: Any) -> list[tuple[str, str]]:
    with pytest.raises(SpecInvalid) as caught:
        make(**overrides)
    return [(fault.pointer, fault.detail) for fault in caught.value.faults]


@pytest.mark.parametrize("make", [training, command, objective])
def test_jobs_of_every_kind_have_constraints(make: Any) -> None:
    plan = make(constraints=["lr * batch_size <= 0.5"])
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    for each in (plan, again):
        assert [c.text for c in each.constraints] == ["lr * batch_size <= 0.5"]
        assert each.feasible({**each.default_config, "lr": 0.001, "batch_size": 64})
        assert not each.feasible({**each.default_config, "lr": 0.1, "batch_size": 64})


@pytest.mark.parametrize("make", [training, command, objective])
def test_a_plan_without_constraints_says_nothing_of_them(make: Any) -> None:
    assert "constraints" not in make().to_json()


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("lr <", "it is no expression; write one such as lr * batch_size <= 0.5"),
        ("lr * batchsize < 1", "'batchsize' is no parameter of this job: did you mean 'batch_s"),
        ("lr >= 0.5", "it does not hold for lr = 0.001, the default configuration; give these"),
        ("1 / (lr - 0.001) > 0", "it has no value (/ of 1 and 0) for lr = 0.001, the default co"),
    ],
)
def test_constraints_that_cannot_be_are_refused(text: str, detail: str) -> None:
    for make in (command, objective):
        ((pointer, found),) = refused(make, constraints=["lr < 1", text])
        assert pointer == "/constraints/1"
        assert found.startswith(f"constraints.1 = {text!r}: {detail}")


def test_all_faults_of_a_spec_are_told_at_once() -> None:
    faults = refused(command, constraints=["lr <", "depth < 1"], start=[{"lr": 2.0}])
    assert [pointer for pointer, _ in faults] == ["/constraints/0", "/constraints/1", "/start/0/lr"]


def test_the_default_of_a_training_must_meet_them() -> None:
    ((pointer, detail),) = refused(training, constraints=["depth > 100"])
    assert pointer == "/constraints/0"
    assert "the default configuration; give these parameters a `default` that meets it" in detail
    plan = training(space={"depth": {"int": [1, 4], "default": 4}}, constraints=["depth > 3"])
    assert plan.default_config["depth"] == 4


def test_of_a_range_that_a_probe_is_to_find_no_constraint_speaks() -> None:
    spec = {"optimizer": "mypkg.opt:Own", "constraints": ["lr * batch_size <= 0.5"]}
    ((pointer, detail),) = refused(training, **spec)
    assert pointer == "/constraints/0"
    assert "nobody knows the range of lr before the probe; write it in `space`." in detail
    space = {"lr": {"float": [1e-4, 1e-3]}}
    assert training(**spec, space=space).constraints


def test_an_objective_that_suggests_its_parameters_takes_none() -> None:
    ((pointer, detail),) = refused(objective, space={}, constraints=["lr < 1"])
    assert pointer == "/constraints/0"
    assert "nobody knows 'lr' beforehand" in detail
    assert detail.endswith("declare a space.")


@pytest.mark.parametrize("make", [training, command, objective])
def test_start_points_that_violate_one_are_refused_with_its_text(make: Any) -> None:
    text = "lr * batch_size <= 0.5"
    start = [{"lr": 0.001}, {"lr": 0.1, "batch_size": 64}]
    assert refused(make, constraints=[text], start=start) == [
        (
            "/start/1",
            f"The constraint {text!r} does not hold for batch_size = 64, lr = 0.1; choose others.",
        )
    ]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "nsga2"])
def test_proposals_are_pulled_until_they_meet_all(sampler: str) -> None:
    texts = ["lr * batch_size <= 0.5", "momentum < 0.9"]
    study = study_of(SPACE, constraints=texts, sampler=sampler)
    free = study_of(SPACE, sampler=sampler)
    violated = 0
    for number in range(40):
        params = study.ask().params
        assert params["lr"] * params["batch_size"] <= 0.5
        assert params.get("momentum", 0) < 0.9
        study.tell(number, TrialState.COMPLETED, number)
        unbound = free.ask().params
        free.tell(number, TrialState.COMPLETED, number)
        violated += unbound["lr"] * unbound["batch_size"] > 0.5
    assert violated > 2
    assert [study.params_of(trial) for trial in study.trials()][39] == params


def test_a_grid_leaves_out_what_violates_one() -> None:
    space = {"a": {"int": [1, 4]}, "b": {"int": [1, 4]}}
    study = study_of(space, constraints=["a <= b"], sampler="grid")
    seen = {tuple(study.ask().params.values()) for _ in range(10)}
    assert seen == {(a, b) for a in range(1, 5) for b in range(a, 5)}
    with pytest.raises(SpaceExhausted):
        study.ask()
