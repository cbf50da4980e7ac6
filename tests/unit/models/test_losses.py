"""Losses are what their papers say, and take the targets they are for."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from models.build import build_loss
from models.catalog import DataRefused, DataShape
from models.data.loading import Dataset
from models.entries import catalog
from models.losses.entries import FOR_CLASSES, FOR_NUMBERS
from models.losses.numbers import NumberLoss
from models.losses.probabilities import probabilities_of
from models.losses.targets import check_targets
from models.recipe import Recipe
from models.training.evaluate import evaluate
from models.training.metrics import class_metrics
from models.training.train import train

LOSSES = catalog().losses


def shape_of(classes: int) -> DataShape:
    return DataShape(
        input_shape=(4,),
        classes=classes,
        train_rows=80,
        val_rows=20,
        test_rows=0,
        labels=(0, max(0, classes - 1)),
    )


@pytest.mark.parametrize("classes", [0, 2, 10])
def test_every_loss_takes_classes_or_numbers_and_says_so(classes: int) -> None:
    for name, entry in LOSSES.items():
        fits = (entry.takes == "numbers") == (classes == 0) and (name != "bce" or classes == 2)
        assert (entry.refuses(shape_of(classes)) is None) == fits


def test_the_losses_a_refusal_recommends_fit() -> None:
    assert all(LOSSES[name].refuses(shape_of(10)) is None for name in FOR_CLASSES)
    assert all(LOSSES[name].refuses(shape_of(0)) is None for name in FOR_NUMBERS)
    assert {*FOR_CLASSES, *FOR_NUMBERS} == LOSSES.keys() - {"bce"}


@pytest.mark.parametrize(
    ("loss", "classes", "message"),
    [
        (
            "mse",
            10,
            "the target has 10 classes; mse takes numbers: "
            "use cross_entropy, nll, focal or multi_margin.",
        ),
        (
            "poisson",
            1,
            "the target has one class; poisson takes numbers: "
            "use cross_entropy, nll, focal or multi_margin.",
        ),
        (
            "focal",
            0,
            "the target is a number; focal takes classes: use mse, huber, l1 or poisson.",
        ),
        ("bce", 0, "the target is a number; bce takes classes: use mse, huber, l1 or poisson."),
    ],
)
def test_the_other_kind_of_target_is_refused_with_the_losses_that_fit(
    loss: str, classes: int, message: str
) -> None:
    assert LOSSES[loss].refuses(shape_of(classes)) == message


def test_nll_is_cross_entropy_on_logits() -> None:
    logits, labels = torch.randn(8, 10), torch.arange(8)
    loss = build_loss("nll", {}, training=True)(logits, labels)
    torch.testing.assert_close(loss, functional.cross_entropy(logits, labels))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_bce_is_the_mean_of_both_logits_binary_cross_entropies(smoothing: float) -> None:
    logits, labels = torch.randn(8, 2), torch.arange(8) % 2
    targets = functional.one_hot(labels, 2) * (1 - smoothing) + smoothing / 2
    expected = functional.binary_cross_entropy_with_logits(logits, targets)
    loss = build_loss("bce", {"label_smoothing": smoothing}, training=True)(logits, labels)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("loss", [name for name, e in LOSSES.items() if e.takes == "classes"])
def test_probabilities_are_what_the_loss_makes_of_outputs(loss: str) -> None:
    outputs = 3 * torch.randn(50, 2)
    shares = probabilities_of(loss, outputs)
    if loss == "multi_margin":
        assert shares is None
        return
    assert shares is not None
    torch.testing.assert_close(shares.sum(1), torch.ones(50))
    assert torch.equal(shares.argmax(1), outputs.argmax(1))
    both = outputs.sigmoid() if loss == "bce" else outputs.softmax(1)
    expected = (both[:, 1] + 1 - both[:, 0]) / 2
    torch.testing.assert_close(shares[:, 1], expected)


def test_margins_are_ranked_by_their_lead() -> None:
    outputs, labels = torch.tensor([[5.0, 6.0], [0.0, 2.0], [9.0, 8.0]]), torch.tensor([0, 1, 0])
    # By the second output alone the last row would lead.
    assert class_metrics(outputs, labels, loss="multi_margin")["roc_auc"] == 1


def test_of_two_logits_both_count_in_the_ranking() -> None:
    outputs, labels = torch.tensor([[0.0, 5.0], [3.0, 9.0]]), torch.tensor([1, 0])
    assert class_metrics(outputs, labels, loss="bce")["roc_auc"] == 1
    assert class_metrics(outputs, labels, loss="cross_entropy")["roc_auc"] == 0


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_focal_weighs_each_example_with_what_is_missing_to_certainty(
    classes: int, gamma: float
) -> None:
    logits, labels = torch.randn(8, classes), torch.arange(8) % classes
    right = torch.softmax(logits, 1).gather(1, labels.unsqueeze(1))
    expected = -((1 - right) ** gamma * right.log()).mean()
    loss = build_loss("focal", {"gamma": gamma}, training=True)(logits, labels)
    torch.testing.assert_close(loss, expected)


def test_focal_without_gamma_is_cross_entropy() -> None:
    logits, labels = torch.randn(8, 10), torch.arange(8)
    loss = build_loss("focal", {"gamma": 0.0}, training=True)(logits, labels)
    torch.testing.assert_close(loss, functional.cross_entropy(logits, labels))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("confidence", [-200.0, 30.0, 200.0])
def test_focal_has_a_gradient_however_certain_the_answer(gamma: float, confidence: float) -> None:
    logits = torch.tensor([[confidence, 0.0, 0.0]], requires_grad=True)
    loss = build_loss("focal", {"gamma": gamma}, training=True)(logits, torch.tensor([0]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mse", functional.mse_loss),
        ("l1", functional.l1_loss),
        ("huber", functional.huber_loss),
        ("poisson", functional.poisson_nll_loss),
    ],
)
def test_a_loss_of_numbers_compares_one_output_with_one_target(
    loss: str, expected: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> None:
    outputs, targets = torch.randn(6, 1), torch.arange(6.0)
    built = build_loss(loss, {}, training=True)
    assert isinstance(built, NumberLoss)
    assert built(outputs, targets) == expected(outputs[:, 0], targets)
    answers = outputs[:, 0].exp() if loss == "poisson" else outputs[:, 0]
    assert torch.equal(built.predictions(outputs), answers)


@pytest.mark.parametrize(("loss", "config"), [("focal", {"gamma": 0.5}), ("huber", {"delta": 0.2})])
def test_trials_are_judged_by_one_loss_whatever_shape_each_trained_with(
    loss: str, config: dict[str, float]
) -> None:
    outputs = torch.randn(8, 1 if loss == "huber" else 10)
    targets = torch.arange(8.0) if loss == "huber" else torch.arange(8)
    default = build_loss(loss, {}, training=True)(outputs, targets)
    assert build_loss(loss, config, training=False)(outputs, targets) == default
    assert build_loss(loss, config, training=True)(outputs, targets) != default


def test_poisson_refuses_what_counts_nothing(ink: Dataset, ink_counts: Dataset) -> None:
    check_targets("poisson", ink_counts)
    below = replace(ink_counts.val, labels=ink_counts.val.labels - 9.5)
    with pytest.raises(DataRefused) as caught:
        check_targets("poisson", replace(ink_counts, val=below))
    assert str(caught.value) == (
        f"ink: the target's smallest value is {float(below.labels.min()):g}; poisson takes "
        "numbers of at least 0: use mse, huber or l1."
    )


def test_training_refuses_targets_of_the_other_kind(
    make_recipe: Callable[..., Recipe], digits: Dataset, ink: Dataset
) -> None:
    with pytest.raises(DataRefused, match="digits: the target has 10 classes; l1 takes numbers"):
        next(train(make_recipe(loss="l1"), digits))
    with pytest.raises(DataRefused, match="ink: the target is a number; nll takes classes"):
        next(train(make_recipe(loss="nll"), ink))


def test_errors_are_measured_in_the_targets_unit(ink_counts: Dataset) -> None:
    class Constant(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full((len(x), 1), 2.0)

    answers = {loss: evaluate(Constant(), ink_counts, loss=loss) for loss in ("l1", "poisson")}
    truth = ink_counts.val.labels.double()
    # What a network answers to poisson is a logarithm.
    assert answers["l1"]["mae"] == pytest.approx(float((truth - 2).abs().mean()))
    assert answers["poisson"]["mae"] == pytest.approx(float((truth - torch.e**2).abs().mean()))
    assert answers["l1"]["loss"] == pytest.approx(answers["l1"]["mae"])
