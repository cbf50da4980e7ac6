"""A job is judged by a metric that its trials report, and that fits its target."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from models.catalog import Catalog, DataEntry, DataShape
from models.data.loading import Dataset, Split
from models.data.preparation import ImagePreparation
from models.entries import catalog
from models.recipe import Recipe
from models.training.train import train
from tuner.errors import SpecInvalid
from tuner.planning import resolve as resolving
from tuner.planning.judging import METRICS, metrics_of
from tuner.planning.plan import Plan
from tuner.spec import TrainingSpec
from tuner.states import Direction

CLASSES = DataShape(
    input_shape=(1, 8, 8), classes=2, train_rows=80, val_rows=20, test_rows=0, labels=(0, 1)
)
NUMBERS = replace(CLASSES, classes=0, labels=(0, 0))
TEXT = replace(CLASSES, classes=7, labels=(0, 6), input_shape=(5,), kind="text")
KINDS: Mapping[str, DataShape] = {"classes": CLASSES, "numbers": NUMBERS, "text": TEXT}
LOSSES: Mapping[str, str] = {"classes": "cross_entropy", "numbers": "mse", "text": "nll"}


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue whose data are called ``classes``, ``numbers`` and ``text``."""
    data = {
        name: DataEntry(
            name=name, summary="", source="", inspect=lambda argument, roots, shape=shape: shape
        )
        for name, shape in KINDS.items()
    }
    entries: Catalog = replace(catalog(), data=data)
    monkeypatch.setattr(resolving, "catalog", lambda: entries)


def plan_of(data: str, **overrides: Any) -> Plan:
    model = "char_lm" if data == "text" else "mlp"
    spec = {"model": model, "data": data, "loss": LOSSES[data], "optimizer": "adamw", **overrides}
    return resolving.resolve(TrainingSpec.parse(spec), ())


def refusal_of(data: str, **overrides: Any) -> dict[str, str]:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(data, **overrides)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("data", "metric"),
    [(data, metric) for data, shape in KINDS.items() for metric in metrics_of(shape)],
)
def test_each_metric_of_the_target_has_its_direction(data: str, metric: str) -> None:
    plan = plan_of(data, metric=metric)
    assert (plan.metric, plan.direction, plan.notes) == (metric, METRICS[metric], ())


@pytest.mark.parametrize("shape", [CLASSES, NUMBERS])
def test_trials_report_just_the_metrics_a_job_may_be_judged_by(shape: DataShape) -> None:
    labels = torch.arange(80) % 2
    rows = Split(
        inputs=torch.zeros(80, 1, 8, 8, dtype=torch.uint8),
        labels=labels if shape.classes else labels.float(),
    )
    data = Dataset(
        name="made up", shape=shape, train=rows, val=rows, test=None,
        preparation=ImagePreparation(mean=torch.zeros(1, 1, 1), std=torch.ones(1, 1, 1)),
        fingerprint="",
    )  # fmt: skip
    loss = "cross_entropy" if shape.classes else "mse"
    recipe = Recipe(
        model="mlp", loss=loss, optimizer="sgd", data="", config={}, epochs=1, seed=0
    )  # fmt: skip
    (epoch,) = train(recipe, data)
    reported = {name for name in epoch.metrics if name.startswith(("train_", "val_"))}
    assert reported == set(metrics_of(shape))


def test_every_metric_is_of_classes_of_numbers_or_of_texts() -> None:
    assert {metric for shape in KINDS.values() for metric in metrics_of(shape)} == METRICS.keys()


@pytest.mark.parametrize("loss", ["cross_entropy", "nll", "focal"])
def test_a_text_is_judged_by_its_perplexity_whatever_the_loss(loss: str) -> None:
    plan = plan_of("text", loss=loss)
    assert (plan.metric, plan.direction) == ("val_perplexity", Direction.MINIMIZE)


@pytest.mark.parametrize(
    ("loss", "metric"),
    [("mse", "val_rmse"), ("huber", "val_rmse"), ("l1", "val_mae"), ("poisson", "val_loss")],
)
def test_a_loss_of_numbers_is_judged_by_its_own_error(loss: str, metric: str) -> None:
    plan = plan_of("numbers", loss=loss)
    assert (plan.metric, plan.direction) == (metric, Direction.MINIMIZE)
    assert plan.data_shape.classes == 0


@pytest.mark.parametrize(
    ("data", "overrides", "expected"),
    [
        (
            "numbers",
            {"metric": "val_accuracy"},
            {
                "/metric": "metric 'val_accuracy' is one of classes, but the target is a number: "
                "use val_rmse, val_mae, val_r2, val_loss or train_loss."
            },
        ),
        (
            "classes",
            {"metric": "val_r2"},
            {
                "/metric": "metric 'val_r2' is one of numbers, but the target is a class: use "
                "val_accuracy, val_balanced_accuracy, val_f1, val_roc_auc, "
                "val_average_precision, train_accuracy, val_loss or train_loss."
            },
        ),
        (
            "text",
            {"metric": "val_f1"},
            {
                "/metric": "metric 'val_f1' is one of classes, but the target is a text's next "
                "character: use val_perplexity, val_bits_per_character, val_accuracy, "
                "train_accuracy, val_loss or train_loss."
            },
        ),
        (
            "classes",
            {"metric": "val_perplexity"},
            {
                "/metric": "metric 'val_perplexity' is one of texts, but the target is a class: "
                "use val_accuracy, val_balanced_accuracy, val_f1, val_roc_auc, "
                "val_average_precision, train_accuracy, val_loss or train_loss."
            },
        ),
        (
            "text",
            {"loss": "multi_margin"},
            {
                "/loss": "loss multi_margin: each character of a text has a label, and "
                "multi_margin takes one an example: use cross_entropy, nll or focal."
            },
        ),
        (
            "text",
            {"loss": "bce"},
            {
                "/loss": "loss bce: each character of a text has a label, and bce takes one an "
                "example: use cross_entropy, nll or focal."
            },
        ),
        (
            "text",
            {"loss": "mse"},
            {
                "/loss": "loss mse: the target has 7 classes; mse takes numbers: use "
                "cross_entropy, nll or focal."
            },
        ),
        (
            "text",
            {"model": "mlp"},
            {
                "/model": "model 'mlp' is for data of kind image or table or series, not text: "
                "use char_lm."
            },
        ),
        (
            "text",
            {"budget": {"target": 0.5}},
            {
                "/budget/target": "budget.target = 0.5: val_perplexity is never below 1, which is "
                "to know all."
            },
        ),
        (
            "numbers",
            {"loss": "cross_entropy"},
            {
                "/loss": "loss cross_entropy: the target is a number; cross_entropy takes "
                "classes: use mse, huber, l1 or poisson."
            },
        ),
        (
            "classes",
            {"metric": "val_rms"},
            {"/metric": "metric 'val_rms' is unknown: did you mean 'val_rmse'?"},
        ),
        (
            "classes",
            {"metric": "val_roc_auc", "budget": {"target": 95}},
            {
                "/budget/target": "budget.target = 95: val_roc_auc lies between 0 and 1; "
                "99 % is 0.99."
            },
        ),
        (
            "numbers",
            {"metric": "val_r2", "budget": {"target": 90}},
            {"/budget/target": "budget.target = 90: val_r2 is at most 1; 90 % explained is 0.9."},
        ),
        (
            "numbers",
            {"budget": {"target": -2}},
            {
                "/budget/target": "budget.target = -2: val_rmse is never below 0; name an error "
                "to reach."
            },
        ),
    ],
)
def test_a_metric_or_target_out_of_place_is_refused_with_a_remedy(
    data: str, overrides: dict[str, Any], expected: dict[str, str]
) -> None:
    assert refusal_of(data, **overrides) == expected


@pytest.mark.parametrize(("metric", "target"), [("val_r2", -0.5), ("val_mae", 0.0)])
def test_a_target_in_reach_is_taken(metric: str, target: float) -> None:
    assert plan_of("numbers", metric=metric, budget={"target": target}).metric == metric
