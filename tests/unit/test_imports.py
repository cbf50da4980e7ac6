"""Parts by import path: who may name them is checked at submission, and nothing imported."""

import sys
from pathlib import Path
from typing import Any

import pytest

from models.importing import PartRefused
from models.recipe import Recipe
from tests.factories import make_spec
from tuner.errors import SpecInvalid
from tuner.planning.plan import Plan
from tuner.planning.resolve import resolve
from tuner.settings import Settings
from tuner.spec import TrainingSpec
from tuner.trial_order import check_allowed

ALLOWED = ("mypkg", "other.mod")


def plan_of(*, allowed: tuple[str, ...] = ALLOWED, **overrides: Any) -> Plan:
    return resolve(TrainingSpec.parse(make_spec(**overrides)), (), allowed)


def refusals(**overrides: Any) -> list[tuple[str, str]]:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(**overrides)
    return [(fault.pointer, fault.detail) for fault in caught.value.faults]


def test_the_setting_lists_modules() -> None:
    assert Settings().allowed_code == ()
    assert Settings(allowed_code="mypkg, other.mod").allowed_code == ALLOWED  # type: ignore[arg-type]


def test_nothing_is_imported_at_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mypkg.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    plan = plan_of(loss="mypkg:Loss", optimizer="mypkg.opt:Opt", augment=["mypkg.aug:Blur"])
    assert "mypkg" not in sys.modules
    assert (plan.metric, plan.direction) == ("val_loss", "minimize")
    assert plan.default_config["mypkg.aug:Blur"] == 1.0
    assert plan.default_config["lr"] == 1e-3
    assert Plan.from_json(plan.to_json()) == plan


def test_the_space_declares_what_a_part_takes() -> None:
    space = {
        "gamma": {"float": [0, 5]},
        "rounds": 3,
        "mypkg.aug:Blur": {"float": [0, 2], "default": 0.5},
        "lr": 0.2,
    }
    plan = plan_of(loss="mypkg.a:Loss", augment=["mypkg.aug:Blur"], space=space)
    assert {"gamma", "mypkg.aug:Blur"} <= {parameter.name for parameter in plan.space.searched}
    assert plan.default_config["rounds"] == 3
    assert plan.space["gamma"].source == "an argument of mypkg.a:Loss or mypkg.aug:Blur"


@pytest.mark.parametrize(
    ("overrides", "pointer", "detail"),
    [
        (
            {"loss": "mypkg.a:Loss", "allowed": ()},
            "/loss",
            "loss 'mypkg.a:Loss' is an import path, and this server imports no such code: add "
            "mypkg to its setting TUNER_ALLOWED_CODE, or name a part of the catalogue.",
        ),
        (
            {"optimizer": "mypkg2.opt:Opt"},
            "/optimizer",
            "optimizer 'mypkg2.opt:Opt' is an import path, and this server imports code from "
            "mypkg, other.mod only: add mypkg2 to its setting TUNER_ALLOWED_CODE, or name a part "
            "of the catalogue.",
        ),
        (
            {"augment": ["other:Blur"]},
            "/augment",
            "augmentation 'other:Blur' is an import path, and this server imports code from "
            "mypkg, other.mod only: add other to its setting TUNER_ALLOWED_CODE, or name a part "
            "of the catalogue.",
        ),
        (
            {"loss": "mypkg/../x:Loss"},
            "/loss",
            "loss 'mypkg/../x:Loss' is no import path; write package.module:Name.",
        ),
        (
            {"loss": "mypkg:"},
            "/loss",
            "loss 'mypkg:' is no import path; write package.module:Name.",
        ),
        (
            {"loss": "mypkg.a:Loss", "space": {"a b": 3}},
            "/space/a b",
            "'a b' is no hyperparameter of this combination: known: accumulation, activation, ",
        ),
        (
            {"loss": "mypkg.a:Loss", "space": {"gamma": [1, 2]}},
            "/space/gamma",
            "gamma = [1, 2] is no parameter; write {float: [low, high]}, {int: [low, high]}, "
            "{choice: [a, b]}, {ordered: [a, b]} or a plain value.",
        ),
        (
            {"loss": "mypkg.a:Loss", "space": {"balance": "weights"}},
            "/space/balance",
            "balance = 'weights': loss mypkg.a:Loss takes no class weights; use balance: "
            "sampling, or a loss of the catalogue.",
        ),
        (
            {"space": {"optimizer": {"choice": ["adamw", "mypkg.opt:Opt"]}}},
            "/space/optimizer",
            "optimizer 'mypkg.opt:Opt' is an import path; only names can be searched.",
        ),
    ],
)
def test_what_may_not_be_imported_or_declared_is_refused_with_its_remedy(
    overrides: dict[str, Any], pointer: str, detail: str
) -> None:
    ((found, said),) = refusals(**overrides)
    assert found == pointer
    assert said.startswith(detail)


@pytest.mark.parametrize("changes", [{"loss": "mypkg:L"}, {"config": {"mypkg:L": 1.0}}])
def test_a_worker_asks_again_whether_code_is_allowed(changes: dict[str, Any]) -> None:
    spec = {"model": "mlp", "loss": "mse", "optimizer": "sgd", "data": {"name": "digits"}}
    recipe = Recipe.from_json({**spec, "config": {}, "epochs": 1, "seed": 0, **changes})
    check_allowed(recipe, ("mypkg",))
    with pytest.raises(PartRefused, match="part 'mypkg:L' is an import path, and this server"):
        check_allowed(recipe, ())
