"""A network that learns rates begins at their mean, not at one."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from models.build import build_model
from models.catalog import DataShape
from models.data.loading import Dataset, Split
from models.entries import catalog
from models.recipe import Recipe
from models.training.head_start import give_head_start
from models.training.single import Training
from models.training.train import train

MakeRecipe = Callable[..., Recipe]
#: Of each model that answers with numbers, a shape it takes.
SHAPES = {"image": (1, 8, 8), "series": (2, 24), "table": (5,)}
OF_NUMBERS = [
    (name, kind)
    for name, entry in sorted(catalog().models.items())
    for kind in entry.kinds
    if kind in SHAPES
]


def shape_of(kind: str) -> DataShape:
    return DataShape(
        input_shape=SHAPES[kind],
        classes=0,
        train_rows=100,
        val_rows=20,
        test_rows=0,
        labels=(0, 0),
        kind=kind,
    )


@pytest.mark.parametrize(("name", "kind"), OF_NUMBERS)
def test_every_network_of_numbers_begins_at_the_logarithm_of_the_mean(name: str, kind: str) -> None:
    counts, shape = torch.tensor([0.0, 3000.0, 9000.0]), shape_of(kind)
    network = build_model(name, {"depth": 1, "width": 8}, shape).eval()
    give_head_start(network, "poisson", counts)
    with torch.no_grad():
        # What is not the bias is still drawn, and stays a small part of it.
        answers = network(torch.randn(64, *shape.input_shape))
    assert answers.mean().item() == pytest.approx(torch.tensor(4000.0).log().item(), abs=1.5)
    assert network.get_submodule("head").bias.item() == pytest.approx(8.294, abs=1e-3)


@pytest.mark.parametrize("loss", ["mse", "huber", "l1", "models.losses.numbers:NumberLoss"])
def test_where_targets_are_standardised_heads_stay_as_they_were_drawn(loss: str) -> None:
    network = build_model("mlp", {"depth": 1, "width": 8}, shape_of("table"))
    drawn = network.get_submodule("head").bias.clone()
    give_head_start(network, loss, torch.tensor([100.0, 200.0]))
    assert torch.equal(network.get_submodule("head").bias, drawn)


def test_counts_of_nothing_at_all_leave_the_head_as_it_was_drawn() -> None:
    network = build_model("mlp", {"depth": 1, "width": 8}, shape_of("table"))
    give_head_start(network, "poisson", torch.zeros(3))
    assert network.get_submodule("head").bias.isfinite().all()


@pytest.fixture(scope="module")
def many_counts(ink_counts: Dataset) -> Dataset:
    """Counts in the thousands."""

    def times(split: Split) -> Split:
        return replace(split, labels=1000 * split.labels)

    return replace(ink_counts, train=times(ink_counts.train), val=times(ink_counts.val))


def test_large_counts_are_predicted_well_after_four_epochs(
    make_recipe: MakeRecipe, many_counts: Dataset
) -> None:
    *_, last = train(make_recipe(loss="poisson", epochs=4), many_counts)
    assert last.metrics["val_r2"] > 0.5


def test_the_mean_is_the_training_rows_alone(make_recipe: MakeRecipe, many_counts: Dataset) -> None:
    far = replace(many_counts.val, labels=many_counts.val.labels * 1e6)
    recipe = make_recipe(loss="poisson")
    biases = [
        Training.begin(recipe, data, "cpu").learner.model.get_submodule("head").bias
        for data in (many_counts, replace(many_counts, val=far))
    ]
    assert torch.equal(*biases)
