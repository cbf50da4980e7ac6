"""Metrics agree with scikit-learn, ties and absent classes included."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from models.catalog import DataShape
from models.training import metrics
from models.training.metrics import (
    Tally,
    class_metrics,
    class_metrics_of_each,
    number_metrics,
)

CLASS_METRICS = {"accuracy", "balanced_accuracy", "f1", "roc_auc", "average_precision"}


def drawn(rows: int, classes: int, *, seed: int, ties: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels; with `ties` there are few different logits."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=random)
    labels = torch.randint(classes, (rows,), generator=random)
    return (logits.round() if ties else logits), labels


def expected(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
    """What scikit-learn makes of it, class by class where it takes no absent ones."""
    answers, truth = logits.argmax(1).numpy(), labels.numpy()
    scores = torch.softmax(logits.double(), 1).numpy()
    columns = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    ranked = [(truth == c, scores[:, c]) for c in columns if (truth == c).any()]
    areas = [sk.roc_auc_score(is_c, score) for is_c, score in ranked if not is_c.all()]
    precisions = [sk.average_precision_score(is_c, score) for is_c, score in ranked]
    with warnings.catch_warnings():
        # Answers of a class no row has: recall leaves them out, and says so.
        warnings.simplefilter("ignore")
        balanced = sk.balanced_accuracy_score(truth, answers)
    return {
        "accuracy": sk.accuracy_score(truth, answers),
        "balanced_accuracy": balanced,
        "f1": sk.f1_score(truth, answers, average="macro"),
        "roc_auc": np.mean(areas) if areas else 0.5,
        "average_precision": np.mean(precisions) if precisions else 0.0,
    }


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("rows", [1, 2, 7, 400])
def test_class_metrics_are_scikit_learns(rows: int, classes: int, ties: bool) -> None:
    for seed in range(5):
        logits, labels = drawn(rows, classes, seed=seed, ties=ties)
        found = class_metrics(logits, labels)
        assert found.keys() == CLASS_METRICS
        assert found == pytest.approx(expected(logits, labels), abs=1e-12)


def test_the_macro_averages_are_those_scikit_learn_takes_of_all_classes() -> None:
    logits, labels = drawn(300, 4, seed=0, ties=True)
    scores = torch.softmax(logits.double(), 1).numpy()
    found = class_metrics(logits, labels)
    area = sk.roc_auc_score(labels.numpy(), scores, multi_class="ovr")
    precision = sk.average_precision_score(labels.numpy(), scores)
    assert found["roc_auc"] == pytest.approx(area, abs=1e-12)
    assert found["average_precision"] == pytest.approx(precision, abs=1e-12)


def test_a_class_without_rows_counts_only_where_it_is_answered() -> None:
    logits, labels = drawn(200, 5, seed=1, ties=True)
    labels[labels == 3] = 0
    assert class_metrics(logits, labels) == pytest.approx(expected(logits, labels), abs=1e-12)
    logits[:, 3] = -100
    assert class_metrics(logits, labels) == pytest.approx(expected(logits, labels), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_rows_of_one_class_cannot_be_ranked(classes: int) -> None:
    found = class_metrics(torch.randn(6, classes), torch.zeros(6, dtype=torch.int64))
    assert found["roc_auc"] == 0.5
    assert found["average_precision"] == (0.0 if classes == 2 else 1.0)


def test_one_right_row_is_perfect_as_far_as_it_goes() -> None:
    found = class_metrics(torch.tensor([[0.0, 0.0, 9.0]]), torch.tensor([2]))
    assert found == {
        "accuracy": 1.0,
        "balanced_accuracy": 1.0,
        "f1": 1.0,
        "roc_auc": 0.5,
        "average_precision": 1.0,
    }


def test_confident_answers_do_not_round_to_ties() -> None:
    logits = torch.tensor([[0.0, 20.0], [0.0, 25.0], [0.0, 30.0]])
    assert class_metrics(logits, torch.tensor([0, 1, 1]))["roc_auc"] == 1.0


def test_of_too_many_scores_every_kth_row_is_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, labels = drawn(50, 7, seed=2, ties=True)
    whole, third = class_metrics(logits, labels), class_metrics(logits[::3], labels[::3])
    monkeypatch.setattr(metrics, "_RANKED_AT_MOST", 150)
    found = class_metrics(logits, labels)
    assert {name for name in found if found[name] == third[name]} >= {
        "roc_auc",
        "average_precision",
    }
    assert {name for name in found if found[name] == whole[name]} >= {"accuracy", "f1"}


@given(
    rows=st.lists(
        st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=40
    ).filter(lambda rows: len({truth for _, truth in rows}) > 1),
    unit=st.sampled_from([1.0, 0.5, 37.0]),
)
@settings(max_examples=60, deadline=None)
def test_number_metrics_are_scikit_learns_in_the_targets_unit(
    rows: list[tuple[int, int]], unit: float
) -> None:
    predictions, targets = torch.tensor(rows, dtype=torch.float32).T
    found = number_metrics(predictions, targets, unit=unit)
    truth, answers = (targets * unit).numpy(), (predictions * unit).numpy()
    assert found == pytest.approx(
        {
            "rmse": sk.root_mean_squared_error(truth, answers),
            "mae": sk.mean_absolute_error(truth, answers),
            "r2": sk.r2_score(truth, answers),
        },
        rel=1e-5,
        abs=1e-6,
    )


@pytest.mark.parametrize(
    ("predictions", "targets", "r2"),
    [([1.5], [1.5], 1.0), ([1.0], [1.5], 0.0), ([2, 2], [2, 2], 1.0), ([2, 3], [2, 2], 0.0)],
)
def test_equal_targets_are_explained_wholly_or_not_at_all(
    predictions: list[float], targets: list[float], r2: float
) -> None:
    found = number_metrics(torch.tensor(predictions), torch.tensor(targets))
    assert found["r2"] == r2


@pytest.mark.parametrize("classes", [0, 3])
def test_batches_add_up(classes: int) -> None:
    shape = DataShape(
        input_shape=(1, 8, 8),
        classes=classes,
        train_rows=10,
        val_rows=50,
        test_rows=0,
        labels=(0, max(0, classes - 1)),
    )
    answers, targets = drawn(50, 3, seed=3, ties=False)
    if classes == 0:
        answers, targets = answers[:, 0], targets.float()
    whole, parts = Tally.of(shape, unit=3.0), Tally.of(shape, unit=3.0)
    whole.add(answers, targets)
    for some in torch.arange(50).split(20):
        parts.add(answers[some], targets[some])
    assert parts.metrics() == whole.metrics()
    assert parts.metrics().keys() == ({"rmse", "mae", "r2"} if classes == 0 else CLASS_METRICS)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("ranked_at_once", [4_000_000, 500])
def test_metrics_of_several_networks_are_those_of_each(
    classes: int, ranked_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = [drawn(60, classes, seed=seed, ties=seed == 1)[0] for seed in range(3)]
    _, labels = drawn(60, classes, seed=7, ties=False)
    monkeypatch.setattr(metrics, "_RANKED_AT_MOST", ranked_at_once)
    found = class_metrics_of_each(torch.stack(each), labels)
    assert found == [pytest.approx(class_metrics(logits, labels)) for logits in each]
