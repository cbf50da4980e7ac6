"""Where classes are unequal a job is told so, and searches what may help its metric."""

from pathlib import Path
from typing import Any

import pytest

from tuner.errors import SpecInvalid
from tuner.planning.plan import Plan
from tuner.planning.resolve import resolve
from tuner.spec import TrainingSpec


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A table of 180 rows of class a and 20 of class b."""
    rows = "".join(f"{i * 37 % 101},{'b' if i % 10 == 0 else 'a'}\n" for i in range(200))
    (tmp_path / "rare.csv").write_text("x,y\n" + rows)
    return tmp_path


def plan_of(root: Path, **overrides: Any) -> Plan:
    spec = {
        "model": "mlp",
        "data": {"csv": "rare.csv", "target": "y"},
        "loss": "cross_entropy",
        "optimizer": "adamw",
    }
    return resolve(TrainingSpec.parse(spec | overrides), (str(root),))


def test_the_rows_of_each_class_are_known_before_anything_runs(root: Path) -> None:
    plan = plan_of(root)
    assert plan.data_shape.class_rows == (115, 13)
    assert Plan.from_json(plan.to_json()) == plan


def test_a_metric_of_all_rows_is_questioned_and_nothing_searched(root: Path) -> None:
    plan = plan_of(root)
    times = "the largest class has 8.85 times the training rows of the smallest"
    assert plan.notes[0] == (
        f"Classes are unequal: {times}, and val_accuracy says little of the rare ones. With "
        "metric: val_balanced_accuracy each class counts alike, and balance is searched."
    )
    assert "balance" not in plan.space.names


def test_a_metric_of_classes_makes_balance_a_choice_that_is_off_at_first(root: Path) -> None:
    plan = plan_of(root, metric="val_balanced_accuracy")
    assert plan.notes[0].startswith("balance is searched, and none in trial 0: the largest class")
    assert "balance" in {parameter.name for parameter in plan.space.searched}
    assert plan.default_config["balance"] == "none"


def test_what_the_spec_says_of_balance_holds_without_a_note(root: Path) -> None:
    plan = plan_of(root, space={"balance": "weights"})
    assert plan.default_config["balance"] == "weights"
    assert not any("lass" in note and "times" in note for note in plan.notes)


def test_equal_classes_are_left_alone(root: Path) -> None:
    plan = plan_of(root, data="wine", metric="val_f1")
    assert "balance" not in plan.space.names


@pytest.mark.parametrize(
    ("overrides", "detail"),
    [
        (
            {"data": "diabetes", "loss": "mse", "space": {"balance": "weights"}},
            "balance is for examples that have a class each: leave it out.",
        ),
        (
            {"space": {"balance": "smote"}},
            "balance = 'smote' must be one of 'none', 'weights', 'sampling'.",
        ),
    ],
)
def test_a_balance_that_cannot_be_is_refused(
    root: Path, overrides: dict[str, Any], detail: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(root, **overrides)
    assert [(f.pointer, f.detail) for f in caught.value.faults] == [("/space/balance", detail)]
