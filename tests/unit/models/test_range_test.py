"""The range test finds where a network learns, whatever its optimizer and its scale."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.data.loading import Dataset, Split
from models.training import range_test as module
from models.training.range_test import HIGHEST, LOWEST, judged, range_test
from models.training.train import train
from tests.unit.models.conftest import MakeRecipe

HERE = __name__
RATES = [10.0 ** (place / 12.5 - 7) for place in range(100)]


class Scaled(nn.Module):
    """The loss of a network whose outputs are `scale` times as large."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(self.scale * outputs, targets)


class Noise(nn.Module):
    """A loss that says nothing."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return 0 * outputs.sum() + 2.3 + 0.1 * torch.randn(())


class Infinite(nn.Module):
    """A loss that is none from the start."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum() * math.inf


def valley(low: float, high: float, *, scatter: float = 0.0) -> list[tuple[float, float]]:
    """A loss that falls from 2 to 1 between two rates, stays, and rises a decade later."""
    losses = []
    for place, rate in enumerate(RATES):
        fallen = min(1.0, max(0.0, math.log(rate / low) / math.log(high / low)))
        risen = max(0.0, math.log10(rate / high) - 1)
        losses.append(2 - fallen + risen + scatter * math.cos(2.4 * place))
    return list(zip(RATES, losses, strict=True))


def test_the_range_is_from_where_the_loss_falls_to_where_it_rises() -> None:
    found = judged([valley(1e-4, 1e-2)]).found
    assert found is not None
    assert 1e-4 < found.low < 3e-4
    assert 0.08 < found.high < 0.2
    assert found.low < found.default <= 0.1
    scattered = judged([valley(1e-4, 1e-2, scatter=0.05)]).found
    assert scattered is not None
    assert scattered.low == pytest.approx(found.low, rel=0.5)
    assert scattered.high == pytest.approx(found.high, rel=0.5)


def test_a_narrow_valley_makes_a_range_of_two_decades_that_holds_its_default() -> None:
    found = judged([valley(1e-2, 2e-2)]).found
    assert found is not None
    assert found.high / found.low >= 99
    assert found.low <= found.default < found.high


def test_the_mean_of_sweeps_goes_as_far_as_the_shortest() -> None:
    long, short = valley(1e-4, 1e-2), valley(1e-3, 1e-1)[:90]
    curve = judged([long, short]).curve
    assert len(curve) == 90
    assert curve[80][1] == pytest.approx((long[80][1] + short[80][1]) / 2)


@pytest.mark.parametrize(
    "curve",
    [
        [],
        [(rate, 1 + place) for place, rate in enumerate(RATES[:20])],
        [(rate, 2 + 0.1 * math.cos(2.4 * place)) for place, rate in enumerate(RATES)],
    ],
    ids=["gone at once", "rises only", "scatters only"],
)
def test_a_loss_that_never_falls_has_no_range_and_a_reason(
    curve: list[tuple[float, float]],
) -> None:
    test = judged([curve])
    assert test.found is None
    assert test.to_json()["reason"] == (
        "No learning rate from 1e-07 to 1000 made the training loss fall."
    )
    assert "low" not in test.to_json()


@pytest.mark.parametrize("optimizer", ["sgd", "muon", "torch.optim:SGD", "torch.optim:Adagrad"])
def test_it_finds_where_real_networks_learn(
    optimizer: str, make_recipe: MakeRecipe, digits: Dataset
) -> None:
    recipe = make_recipe(optimizer=optimizer, epochs=4)
    found = range_test(recipe, digits).found
    assert found is not None

    def best(rate: float) -> float:
        epochs = train(replace(recipe, config={**recipe.config, "lr": rate}), digits)
        return max(epoch.metrics["val_accuracy"] for epoch in epochs)

    assert best(found.default) > best(found.low / 100) + 0.3


@pytest.mark.parametrize("optimizer", ["torch.optim:SGD", "torch.optim:AdamW"])
def test_the_range_follows_the_scale_of_the_network(
    optimizer: str, make_recipe: MakeRecipe, digits: Dataset
) -> None:
    highs = []
    for scale in (0.01, 1.0, 100.0):
        recipe = make_recipe(loss=f"{HERE}:Scaled", optimizer=optimizer, config={"scale": scale})
        found = range_test(recipe, digits).found
        assert found is not None
        assert LOWEST <= found.low < found.default < found.high <= HIGHEST
        highs.append(found.high)
    if optimizer == "torch.optim:SGD":
        assert all(larger > 20 * smaller for larger, smaller in pairwise(highs))
    else:
        assert highs[0] > 3 * highs[2]


def test_nothing_made_to_learn_by_no_rate_has_a_range(
    make_recipe: MakeRecipe, digits: Dataset
) -> None:
    for loss in ("Noise", "Infinite"):
        test = range_test(make_recipe(loss=f"{HERE}:{loss}"), digits)
        assert test.found is None
        assert "made the training loss fall" in test.reason


def test_it_repeats_itself_and_leaves_no_trace(make_recipe: MakeRecipe, digits: Dataset) -> None:
    recipe = make_recipe(config={"dropout": 0.2}, epochs=1)
    [before] = train(recipe, digits)
    drawn = torch.get_rng_state()
    first = range_test(recipe, digits)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert range_test(recipe, digits) == first
    assert range_test(replace(recipe, config={**recipe.config, "lr": 0.5}), digits) == first
    assert range_test(replace(recipe, seed=9), digits) != first
    [after] = train(recipe, digits)
    assert after.metrics["val_loss"] == before.metrics["val_loss"]


def test_it_looks_at_training_rows_only(make_recipe: MakeRecipe, digits: Dataset) -> None:
    none = Split(inputs=digits.val.inputs[:0], labels=digits.val.labels[:0])
    blind = replace(digits, val=none, test=none)
    assert range_test(make_recipe(), blind) == range_test(make_recipe(), digits)


@pytest.mark.parametrize(
    ("seconds", "sweeps", "steps"), [(0.01, 3, 125), (0.1, 1, 125), (0.3, 1, 60), (0.5, 1, 30)]
)
def test_slow_steps_are_fewer(
    seconds: float,
    sweeps: int,
    steps: int,
    make_recipe: MakeRecipe,
    digits: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swept: list[int] = []

    def sweep(training: Any, steps: int) -> list[tuple[float, float]]:
        swept.append(steps)
        return valley(1e-4, 1e-2)

    monkeypatch.setattr(module, "alone_seconds", lambda training, steps: seconds)
    monkeypatch.setattr(module, "_swept", sweep)
    assert range_test(make_recipe(), digits).found is not None
    assert swept == [steps] * sweeps


def test_steps_that_take_too_long_are_not_taken(
    make_recipe: MakeRecipe, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "alone_seconds", lambda training, steps: 2.0)
    assert range_test(make_recipe(), digits).to_json() == {
        "reason": "A step takes 2.0 s: too long to try many learning rates.",
        "curve": [],
    }


def test_what_it_says_is_short_plain_json(make_recipe: MakeRecipe, digits: Dataset) -> None:
    document = range_test(make_recipe(), digits).to_json()
    assert document.keys() == {"low", "high", "default", "log", "curve"}
    assert document["log"] is True
    assert 20 < len(document["curve"]) < 50
    assert all(len(f"{number:g}") <= 9 for pair in document["curve"] for number in pair)
