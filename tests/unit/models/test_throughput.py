"""How many lanes pay: what is measured, where that ends, and what follows from it."""

import pytest
import torch

from models.data.loading import Dataset
from models.training.lanes import throughput
from models.training.lanes.lanes import LaneRefused, Lanes
from models.training.lanes.throughput import best, measured
from tests.unit.models.conftest import MakeRecipe


@pytest.mark.parametrize(
    ("found", "lanes"),
    [
        ({1: 100.0}, 1),
        ({1: 100.0, 2: 50.0}, 1),
        ({1: 100.0, 2: 105.0}, 1),
        ({1: 100.0, 2: 150.0, 4: 160.0}, 2),
        ({1: 100.0, 2: 50.0, 4: 95.0, 8: 105.0}, 1),
        ({1: 100.0, 2: 50.0, 4: 95.0, 8: 180.0, 16: 300.0, 32: 290.0}, 16),
    ],
)
def test_lanes_have_to_bring_a_tenth_more_than_half_as_many_and_than_one_alone(
    found: dict[int, float], lanes: int
) -> None:
    assert best(found) == lanes


def rates(monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float]) -> None:
    """Have a step of so many lanes take so long."""
    monkeypatch.setattr(throughput, "alone_seconds", lambda training, steps: seconds[1])
    monkeypatch.setattr(Lanes, "step_seconds", lambda self, steps: seconds[len(self.free)])


def test_it_doubles_as_long_as_that_brings_more(
    make_recipe: MakeRecipe, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(config={"batch_size": 100})
    rates(monkeypatch, {1: 1.0, 2: 4.0, 4: 4.0, 8: 4.0, 16: 8.0, 32: 1.0})
    found = measured(recipe, digits, most=64)
    assert found == {1: 100.0, 2: 50.0, 4: 100.0, 8: 200.0, 16: 200.0}
    assert list(measured(recipe, digits, most=7)) == [1, 2, 4], "no more than may be"
    assert list(measured(recipe, digits, most=1)) == [1]


def test_it_ends_before_memory_does(
    make_recipe: MakeRecipe, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe()
    rates(monkeypatch, {lanes: 1.0 for lanes in (1, 2, 4, 8, 16)})
    taken = iter([0, 10, 0, 20, 0, 40, 0, 80])
    monkeypatch.setattr(throughput, "_taken", lambda device: next(taken))
    monkeypatch.setattr(throughput, "_free", lambda device: 4 * 50)
    assert list(measured(recipe, digits, most=16)) == [1, 2, 4, 8], "16 would take 80 of 50"


def test_what_does_not_fit_is_not_measured(
    make_recipe: MakeRecipe, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(self: Lanes, steps: int) -> float:
        if len(self.free) > 2:
            raise torch.OutOfMemoryError("no room")
        return 1.0

    monkeypatch.setattr(Lanes, "step_seconds", small)
    assert list(measured(make_recipe(), digits, most=16)) == [1, 2]


def test_it_takes_real_steps_and_leaves_the_lanes_empty(
    make_recipe: MakeRecipe, digits: Dataset
) -> None:
    lanes = Lanes(make_recipe(), digits, capacity=2)
    assert 0 < lanes.step_seconds(3) < 60
    assert lanes.free == [0, 1]
    found = measured(make_recipe(), digits, most=2)
    assert all(rate > 0 for rate in found.values())
    with pytest.raises(LaneRefused, match="muon"):
        measured(make_recipe(optimizer="muon"), digits, most=2)
