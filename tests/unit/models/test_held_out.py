"""The test split: measured as validation is, with intervals that hold what they say."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from models.data.loading import Dataset, Split, load
from models.exported.held_out import held_out_results, wilson
from models.recipe import Recipe
from models.training.evaluate import evaluate
from tests.unit.models.conftest import MakeRecipe


class Ink(nn.Module):
    """Answers how dark an image is."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).mean(1, keepdim=True)


@pytest.fixture(scope="session")
def tumours(cache_dir: Path) -> Dataset:
    return load("breast_cancer", cache_dir=cache_dir)


@pytest.fixture
def linear() -> nn.Module:
    """A network of drawn weights for the tumours."""
    torch.manual_seed(0)
    return nn.Linear(30, 2)


@pytest.fixture
def recipe(make_recipe: MakeRecipe) -> Recipe:
    return make_recipe()


def with_test(data: Dataset, rows: int | None = None) -> Dataset:
    """The same data whose validation rows, or the first of them, are the test split."""
    test = Split(inputs=data.val.inputs[:rows], labels=data.val.labels[:rows])
    return replace(data, test=test)


def test_values_are_those_that_evaluation_gives(
    tumours: Dataset, linear: nn.Module, recipe: Recipe
) -> None:
    found = held_out_results(linear, tumours, recipe)
    assert found is not None
    expected = evaluate(linear, tumours, "test")
    assert {name: result["value"] for name, result in found["metrics"].items()} == expected
    assert found["rows"] == tumours.shape.test_rows
    for result in found["metrics"].values():
        assert result["low"] <= result["value"] <= result["high"]


def test_without_a_test_split_there_is_nothing_to_tell(
    digits: Dataset, linear: nn.Module, recipe: Recipe
) -> None:
    assert held_out_results(linear, digits, recipe) is None


@pytest.mark.parametrize(("right", "rows"), [(0, 7), (81, 263), (113, 113)])
def test_the_interval_of_a_share_is_wilsons(right: int, rows: int) -> None:
    expected = binomtest(right, rows).proportion_ci(method="wilson")
    low, high = wilson(right / rows, rows)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_the_interval_of_a_mean_is_near_that_of_the_normal_distribution(
    ink: Dataset, make_recipe: MakeRecipe
) -> None:
    data = with_test(ink)
    found = held_out_results(Ink(), data, make_recipe(loss="mse"))
    assert found is not None
    loss = found["metrics"]["loss"]
    outputs = Ink()(data.prepared(data.split("test").inputs))[:, 0]
    errors = (outputs - data.split("test").labels).square()
    half = 1.96 * errors.std().item() / math.sqrt(len(errors))
    assert (loss["high"] - loss["low"]) / 2 == pytest.approx(half, rel=0.5)


def test_fewer_rows_than_groups_have_no_interval_but_that_of_accuracy(
    digits: Dataset, recipe: Recipe
) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    found = held_out_results(module, with_test(digits, 19), recipe)
    assert found is not None
    assert found["metrics"]["accuracy"]["low"] is not None
    assert found["metrics"]["loss"]["value"] is not None
    assert found["metrics"]["loss"]["low"] is None


def test_a_network_that_answers_logarithms_is_measured_by_numbers_as_they_were(
    ink_counts: Dataset, make_recipe: MakeRecipe
) -> None:
    class One(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.new_zeros(len(images), 1)

    data = with_test(ink_counts)
    found = held_out_results(One(), data, make_recipe(loss="poisson"))
    assert found is not None
    off = (data.split("test").labels - 1).abs().double().mean().item()
    assert found["metrics"]["mae"]["value"] == pytest.approx(off)


def test_an_answer_that_is_no_number_is_left_out(
    tumours: Dataset, recipe: Recipe, linear: nn.Module
) -> None:
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.fill_(math.nan)
    found = held_out_results(linear, tumours, recipe)
    assert found is not None
    assert found["metrics"]["loss"] == {"value": None, "low": None, "high": None}
