"""Specs about tables: what becomes of them, and what is wrong with them, in words."""

from pathlib import Path
from typing import Any

import pytest

from tuner.errors import SpecInvalid
from tuner.planning.plan import Plan
from tuner.planning.resolve import resolve
from tuner.spec import JobSpec
from tuner.states import Direction

ESSENTIALS = {"model": "mlp", "data": "wine", "loss": "cross_entropy", "optimizer": "adamw"}


def plan_of(*, roots: tuple[str, ...] = (), **overrides: Any) -> Plan:
    return resolve(JobSpec.parse({**ESSENTIALS, **overrides}), roots)


def test_a_table_and_its_columns_are_told_before_anything_runs() -> None:
    plan = plan_of()
    assert (plan.data_shape.kind, plan.data_shape.classes) == ("table", 3)
    assert "Column 'target' (text): target: 3 classes, class_0, class_1, class_2." in plan.notes
    assert "Column 'alcohol' (number): number." in plan.notes
    assert "number_embedding" in plan.space.names
    assert Plan.from_json(plan.to_json()) == plan


def test_a_number_is_judged_by_its_error() -> None:
    plan = plan_of(data="diabetes", loss="mse")
    assert (plan.metric, plan.direction) == ("val_rmse", Direction.MINIMIZE)
    assert plan.data_shape.classes == 0


@pytest.mark.parametrize(
    ("overrides", "pointer", "detail"),
    [
        (
            {"model": "convnet"},
            "/model",
            "model 'convnet' is for data of kind image, not table: use mlp or transformer.",
        ),
        (
            {"data": "diabetes"},
            "/loss",
            "loss cross_entropy: the target is a number; cross_entropy takes classes: "
            "use mse, huber, l1 or poisson.",
        ),
        (
            {"loss": "mse"},
            "/loss",
            "loss mse: the target has 3 classes; mse takes numbers: "
            "use cross_entropy, nll, focal or multi_margin.",
        ),
        (
            {"data": "diabetes", "loss": "mse", "metric": "val_accuracy"},
            "/metric",
            "metric 'val_accuracy' is one of classes, but the target is a number: "
            "use val_rmse, val_mae, val_r2, val_loss or train_loss.",
        ),
        (
            {"space": {"growth": 2}},
            "/space/growth",
            "'growth' is no hyperparameter of this combination: known: activation, batch_size, "
            "beta1, beta2, clip_norm, depth, dropout, embedding_sigma, label_smoothing, lr, "
            "normalisation, number_embedding, residual, schedule, warmup, weight_decay, width.",
        ),
        (
            {"data": {"csv": "a.csv", "taget": "y"}},
            "/data",
            "data = {'csv': 'a.csv', 'taget': 'y'}: of 'taget' nothing is known, "
            "did you mean 'target'?",
        ),
        (
            {"data": {"idx": "mnist", "target": "y"}},
            "/data/target",
            "data idx takes no 'target': leave it out.",
        ),
        (
            {"data": {"csv": "a.csv", "target": "y"}},
            "/data",
            "data {'csv': 'a.csv', 'target': 'y'}: There is no file 'a.csv' below the data roots",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_remedy(
    overrides: dict[str, Any], pointer: str, detail: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(roots=(str(tmp_path),), **overrides)
    (fault,) = caught.value.faults
    assert fault.pointer == pointer
    assert fault.detail.startswith(detail)
