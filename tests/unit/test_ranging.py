"""Which ranges a probe is to find, and what becomes of a plan that it finds them for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from models.hyperparameters import Choice, Real
from tests.factories import make_spec
from tuner.errors import SpecInvalid
from tuner.planning.plan import Plan
from tuner.planning.ranging import amended, unknown_ranges
from tuner.planning.resolve import resolve
from tuner.spec import TrainingSpec, parse_spec

OWN = {"optimizer": "torch.optim:SGD"}
LR = {"low": 0.02, "high": 5.0, "default": 0.5, "log": True, "curve": [[1e-7, 2.3]]}
SIZES = {"choices": [16, 32, 64], "default": 32, "reason": "…", "rows_per_second": {"16": 9}}


def plan_of(**overrides: Any) -> Plan:
    return resolve(TrainingSpec.parse(make_spec(**overrides)), (), ("torch",))


@pytest.mark.parametrize(
    ("spec", "unknown"),
    [
        ({}, ()),
        ({"loss": "my.losses:Loss"}, ()),
        (OWN, ("lr",)),
        (OWN | {"space": {"momentum": 0.9}}, ("lr",)),
        (OWN | {"space": {"lr": 0.1}}, ()),
        (OWN | {"space": {"lr": {"float": [1e-3, 1.0]}}}, ()),
        ({"model": "my.nets:Net"}, ("lr", "batch_size")),
        ({"model": "my.nets:Net", "space": {"batch_size": 32}}, ("lr",)),
        ({"model": "my.nets:Net", "space": {"lr": 0.1}}, ("batch_size",)),
        ({"model": "my.nets:Net", "space": {"optimizer": "adamw"}}, ("lr", "batch_size")),
        (
            {"model": "my.nets:Net", "space": {"optimizer": {"choice": ["adamw", "sgd"]}}},
            ("batch_size",),
        ),
    ],
)
def test_a_range_is_unknown_where_neither_catalogue_nor_spec_has_it(
    spec: Mapping[str, Any], unknown: tuple[str, ...]
) -> None:
    assert unknown_ranges(parse_spec(make_spec(**spec))) == unknown


def test_what_others_train_has_no_ranges_to_be_found() -> None:
    assert unknown_ranges(parse_spec({"objective": "my.code:objective"})) == ()


def test_the_plan_says_that_a_range_is_looked_for() -> None:
    note = "Nobody knows a range for lr: the probe looks for it."
    assert note in plan_of(**OWN).notes
    assert note not in plan_of().notes


def test_the_space_and_trial_0_follow_what_was_found() -> None:
    before = plan_of(**OWN)
    plan = amended(before, {"lr": LR})
    lr = plan.space["lr"]
    assert isinstance(lr, Real)
    assert (lr.low, lr.high, lr.default, lr.log) == (0.02, 5.0, 0.5, True)
    assert lr.source == "found by the probe's range test: arXiv:1506.01186, section 3.3"
    assert plan.default_config == {**before.default_config, "lr": 0.5}
    assert plan.notes[-1] == (
        "lr is float in [0.02, 5] (log), 0.5 in trial 0: found by the probe's range test: "
        "arXiv:1506.01186, section 3.3."
    )
    assert plan.memory_mb == before.memory_mb
    assert plan.space.names == before.space.names
    assert Plan.from_json(plan.to_json()) == plan


def test_batch_sizes_change_what_the_largest_trial_needs_at_most() -> None:
    before = plan_of()
    plan = amended(before, {"batch_size": SIZES, "lr": LR})
    sizes = plan.space["batch_size"]
    assert isinstance(sizes, Choice)
    assert (sizes.choices, sizes.default) == ((16, 32, 64), 32)
    assert plan.default_config["batch_size"] == 32
    assert plan.memory_mb == before.memory_mb, "no more than with 128"
    larger = amended(before, {"batch_size": {"choices": [16, 1024], "default": 16}})
    assert before.memory_mb is not None
    assert larger.memory_mb == 8 * before.memory_mb
    assert "what fits into memory" in plan.notes[-2] + plan.notes[-1]


def test_no_code_of_others_is_looked_at() -> None:
    before = plan_of()
    assert before.capacity is not None
    own = replace(before, capacity=replace(before.capacity, model="no.such:Net"))
    plan = amended(own, {"batch_size": SIZES, "lr": LR})
    assert plan.default_config == {**before.default_config, "batch_size": 32, "lr": 0.5}


def test_the_users_own_defaults_stay_in_trial_0() -> None:
    before = plan_of(**OWN, space={"depth": {"int": [1, 9], "default": 7}, "nesterov": False})
    plan = amended(before, {"lr": LR})
    assert (plan.default_config["depth"], plan.default_config["lr"]) == (7, 0.5)


def test_what_people_gave_widens_what_was_found() -> None:
    before = plan_of(**OWN, start=[{"lr": 9.0}, {"lr": 1}, {"depth": 2}])
    found = {"lr": LR, "batch_size": SIZES}
    plan = amended(before, found, [{"lr": 9.0}, {"lr": 1e-5, "batch_size": 48}])
    lr, sizes = plan.space["lr"], plan.space["batch_size"]
    assert isinstance(lr, Real)
    assert isinstance(sizes, Choice)
    assert (lr.low, lr.high, lr.default) == (1e-5, 9.0, 0.5)
    assert (sizes.choices, sizes.default) == ((16, 32, 64, 48), 32)


def test_start_points_may_lie_beyond_a_range_that_nobody_knows() -> None:
    lr = plan_of(**OWN, start=[{"lr": 9.0}, {"lr": 1e-6}]).space["lr"]
    assert isinstance(lr, Real)
    assert (lr.low, lr.high, lr.default) == (1e-6, 9.0, 1e-3)
    with pytest.raises(SpecInvalid, match="outside"):
        plan_of(start=[{"lr": 9.0}])


@pytest.mark.parametrize("value", [-1.0, 0.0, "much", True])
def test_impossible_values_of_start_points_are_refused_as_ever(value: object) -> None:
    with pytest.raises(SpecInvalid, match="lr = "):
        plan_of(**OWN, start=[{"lr": value}])


def test_where_nothing_was_found_the_range_stays_and_a_note_says_why() -> None:
    before = plan_of(**OWN)
    reason = "No learning rate from 1e-07 to 1000 made the training loss fall."
    plan = amended(before, {"lr": {"reason": reason, "curve": []}})
    assert plan.space == before.space
    assert plan.default_config == before.default_config
    assert plan.notes[-1] == f"lr stays float in [0.0001, 0.1] (log): {reason}"


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        7,
        {},
        {"low": 1.0},
        {"low": 2.0, "high": 1.0, "log": True, "default": 1.5},
        {"low": -1.0, "high": 1.0, "log": False, "default": 0.5},
        {"low": "a", "high": "b", "log": True, "default": "a"},
        {"low": 0.1, "high": 1.0, "log": True, "default": 5.0},
        {"low": 0.1, "high": float("inf"), "log": True, "default": 0.5},
    ],
)
def test_nonsense_from_a_probe_is_no_range(nonsense: object) -> None:
    before = plan_of(**OWN)
    plan = amended(before, {"lr": nonsense, "no_such": LR})
    assert plan.space == before.space
    assert plan.notes[-1] == "lr stays float in [0.0001, 0.1] (log): the probe found no range."


@pytest.mark.parametrize("choices", [[], [0, 16], [16, 16], [16.5], [100_000], "many", [None]])
def test_impossible_batch_sizes_from_a_probe_are_no_choice(choices: object) -> None:
    before = plan_of()
    plan = amended(before, {"batch_size": {"choices": choices, "default": 16}})
    assert plan.space == before.space
