"""Against classes of unequal size: weights and sampling are what they say, and help."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from models.build import build_loss
from models.catalog import ConfigRefused
from models.data.loading import Dataset, Split
from models.entries import catalog
from models.recipe import Recipe
from models.training.balance import class_weights, rows_to_draw
from models.training.balance_entry import imbalance
from models.training.checkpoint import Checkpoint
from models.training.train import train

MakeRecipe = Callable[..., Recipe]
WEIGHTED = [name for name, entry in catalog().losses.items() if entry.class_weights]
MIXED = [name for name, entry in catalog().losses.items() if entry.mixed_labels]


@pytest.fixture(scope="module")
def few_eights(digits: Dataset) -> Dataset:
    """Threes, and a twentieth as many eights; in validation as many of both."""

    def chosen(split: Split, every: int) -> Split:
        threes = (split.labels == 3).nonzero().flatten()
        eights = (split.labels == 8).nonzero().flatten()[::every]
        rows = torch.cat([threes, eights])
        return Split(inputs=split.inputs[rows], labels=(split.labels[rows] == 8).long())

    train_rows, val_rows = chosen(digits.train, 20), chosen(digits.val, 1)
    counts = tuple(torch.bincount(train_rows.labels).tolist())
    shape = replace(
        digits.shape, classes=2, labels=(0, 1), train_rows=train_rows.rows, class_rows=counts
    )
    return replace(digits, shape=shape, train=train_rows, val=val_rows, fingerprint="few eights")


def test_weights_are_inverse_to_the_classes_shares_and_their_mean_is_one() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2 + [3] * 4)
    weights = class_weights(labels, 5)
    assert weights.tolist() == pytest.approx([2 / 3, 2.0, 0.0, 1.0, 0.0])
    assert float(weights[labels].mean()) == pytest.approx(1)


@pytest.mark.parametrize("loss", WEIGHTED)
def test_every_loss_of_classes_weighs_rows_by_their_class(loss: str) -> None:
    logits, labels = torch.randn(7, 2), torch.tensor([0, 1, 0, 0, 1, 0, 0])
    weights = torch.tensor([0.5, 3.0])
    plain = build_loss(loss, {}, training=True)
    rows = [
        weights[label] * plain(logits[i : i + 1], label[None]) for i, label in enumerate(labels)
    ]
    weighted = build_loss(loss, {}, training=True, weights=weights)(logits, labels)
    torch.testing.assert_close(weighted, torch.stack(rows).mean())


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 3.0])])
@pytest.mark.parametrize("loss", MIXED)
def test_a_mixed_label_costs_what_its_classes_cost_each_with_its_share(
    loss: str, weights: torch.Tensor | None
) -> None:
    logits, share = torch.randn(6, 2), torch.rand(6)
    criterion = build_loss(loss, {}, training=True, weights=weights)
    mixed = criterion(logits, torch.stack([share, 1 - share], 1))
    parts = [
        part * criterion(logits[i : i + 1], torch.tensor([label]))
        for i, first in enumerate(share)
        for label, part in ((0, first), (1, 1 - first))
    ]
    torch.testing.assert_close(mixed, torch.stack(parts).sum() / 6)


def test_sampling_draws_every_class_alike_and_only_its_rows() -> None:
    labels = torch.tensor([2] * 90 + [0] * 9 + [4])
    drawn = rows_to_draw(labels, "sampling")(30_000)
    shares = torch.bincount(labels[drawn], minlength=5) / 30_000
    assert shares.tolist() == pytest.approx([1 / 3, 0, 1 / 3, 0, 1 / 3], abs=0.02)
    # Within a class every row has the same chance.
    assert torch.bincount(drawn, minlength=100)[90:99].tolist() == pytest.approx(
        [1111] * 9, rel=0.2
    )


def test_without_sampling_a_row_is_drawn_at_most_once() -> None:
    drawn = rows_to_draw(torch.tensor([0] * 90 + [1] * 10), "none")(80)
    assert len(drawn.unique()) == 80


@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_a_rare_class_is_found_more_often(
    balance: str, make_recipe: MakeRecipe, few_eights: Dataset
) -> None:
    config = {"batch_size": 16, "balance": balance}
    *_, plain = train(make_recipe(config=config | {"balance": "none"}, epochs=4), few_eights)
    *_, balanced = train(make_recipe(config=config, epochs=4), few_eights)
    found = [e.metrics["val_balanced_accuracy"] for e in (plain, balanced)]
    assert found[1] > found[0] + 0.02


@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_the_same_seed_gives_the_same_curve_interrupted_or_not(
    balance: str, make_recipe: MakeRecipe, few_eights: Dataset
) -> None:
    recipe = make_recipe(config={"batch_size": 16, "balance": balance}, epochs=4)

    def losses(resume: Checkpoint | None = None) -> list[float]:
        return [e.metrics["train_loss"] for e in train(recipe, few_eights, resume=resume)]

    checkpoints = [epoch.checkpoint() for epoch in train(recipe, few_eights)]
    whole = [metrics["train_loss"] for metrics in checkpoints[-1].curve]
    assert losses() == whole
    assert losses(checkpoints[1]) == whole[2:]


def test_validation_is_judged_without_weights(make_recipe: MakeRecipe, few_eights: Dataset) -> None:
    config = {"batch_size": 16, "lr": 1e-12}
    for balance in ("none", "weights"):
        *_, epoch = train(make_recipe(config=config | {"balance": balance}, epochs=1), few_eights)
        if balance == "none":
            unweighted = epoch.metrics
    assert epoch.metrics["val_loss"] == pytest.approx(unweighted["val_loss"], rel=1e-4)
    assert epoch.metrics["train_loss"] != pytest.approx(unweighted["train_loss"], rel=1e-4)


def test_an_unknown_balance_is_refused(make_recipe: MakeRecipe, digits: Dataset) -> None:
    with pytest.raises(ConfigRefused) as caught:
        next(train(make_recipe(config={"balance": "smote"}), digits))
    assert str(caught.value) == ("balance = 'smote' must be one of 'none', 'weights', 'sampling'.")


def test_numbers_cannot_be_balanced(make_recipe: MakeRecipe, ink: Dataset) -> None:
    for balance in ("weights", "sampling"):
        with pytest.raises(ConfigRefused, match="needs examples that have a class each"):
            next(train(make_recipe(loss="mse", config={"balance": balance}), ink))


def test_imbalance_is_the_largest_class_to_the_smallest(few_eights: Dataset) -> None:
    shape = few_eights.shape
    assert imbalance(shape) == pytest.approx(shape.class_rows[0] / shape.class_rows[1])
    assert imbalance(replace(shape, class_rows=(7, 0, 7))) == 1
    assert imbalance(replace(shape, class_rows=())) == 1
