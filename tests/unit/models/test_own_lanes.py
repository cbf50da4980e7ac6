"""Networks of one's own in lanes: as alone where one program carries them, and alone where not."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.data.loading import Dataset
from models.recipe import Recipe
from models.training.lanes.lanes import LaneRefused, Lanes
from models.training.lanes.signature import reason, signature
from tests.unit.models.test_lanes import assert_as_alone, double, few, in_double

MakeRecipe = Callable[..., Recipe]
__all__ = ["double"]

CODE = '''
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    def __init__(self, in_channels, num_classes, width=8, dropout=0.2, momentum=0.1,
                 activation="tanh"):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3)
        self.norm = nn.BatchNorm2d(width, momentum=momentum)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(width * 36, num_classes)

    def forward(self, x):
        x = self.norm(self.conv(x)).tanh()
        return self.fc(self.drop(x.flatten(1)))


class Views(Net):
    """Wants memory to lie as it does alone."""

    def forward(self, x):
        x = self.norm(self.conv(x))
        return self.fc(x.view(x.size(0), -1))


class Draws(Net):
    """Drops with a function, of which no layer tells."""

    def forward(self, x):
        return functional.dropout(super().forward(x), 0.3, self.training)


class Twice(nn.Dropout):
    def forward(self, x):
        return super().forward(super().forward(x))


class Derived(Net):
    """Has a layer that does more than torch's of which it is derived."""

    def __init__(self, in_channels, num_classes):
        super().__init__(in_channels, num_classes)
        self.drop = Twice(0.2)
'''


@pytest.fixture(autouse=True)
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ownlanes.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ownlanes", raising=False)


def recipes(make_recipe: MakeRecipe, name: str = "Net", **config: Any) -> list[Recipe]:
    """Two that differ in what is no matter of the network."""
    return [
        replace(
            make_recipe(seed=seed),
            model=f"ownlanes:{name}",
            config={"folds": 1, "batch_size": 32, "lr": lr, **config},
        )
        for seed, lr in enumerate((1e-3, 3e-3))
    ]


@pytest.mark.usefixtures("double")
def test_a_network_of_ones_own_learns_in_a_lane_what_it_learns_alone(
    make_recipe: MakeRecipe, digits: Dataset
) -> None:
    assert_as_alone(recipes(make_recipe), in_double(few(digits)), 1e-9)


@pytest.mark.parametrize("name", ["Draws", "Derived", "Views"])
def test_one_that_one_program_does_not_carry_trains_alone(
    name: str, make_recipe: MakeRecipe, digits: Dataset
) -> None:
    with pytest.raises(LaneRefused, match=f"ownlanes:{name} trains alone: as one program it raise"):
        Lanes(recipes(make_recipe, name)[0], few(digits), capacity=2)


def test_its_signature_is_all_its_arguments_told_without_its_code(
    make_recipe: MakeRecipe, digits: Dataset
) -> None:
    def of(**config: Any) -> str:
        recipe = recipes(make_recipe, "Unknown", **config)[0]
        assert reason(recipe, digits.shape) is None
        return signature(recipe, digits.shape)

    assert of() == of(lr=0.1, weight_decay=0.0)
    # Not one of the values that a network of the catalogue takes.
    differing = [{}, {"activation": "tanh"}, {"dropout": 0.1}, {"dropout": 0.2}, {"model.lr": 1}]
    assert len({of(**config) for config in differing}) == len(differing)
    assert "ownlanes" not in sys.modules
