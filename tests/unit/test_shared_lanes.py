"""What the attempts of one worker share, when something goes wrong with all of it."""

from pathlib import Path

import pytest

from models.data.loading import load
from models.recipe import Recipe
from models.training.lanes.lanes import LaneRefused, Lanes
from tuner.shared_lanes import SharedLanes


def recipe(seed: int) -> Recipe:
    document = {
        "model": "mlp",
        "data": {"name": "digits"},
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "epochs": 2,
        "seed": seed,
        "config": {"batch_size": 200, "width": 8},
    }
    return Recipe.from_json(document)


def test_lanes_that_raised_are_left_and_an_attempt_that_comes_later_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(recipe(0).data, roots=(), split_seed=0, cache_dir=tmp_path)
    lanes = SharedLanes(capacity=2)
    with lanes.turn:
        lanes.enter(1)
        with monkeypatch.context() as patched:
            patched.setattr(Lanes, "advance", lambda _: (_ for _ in ()).throw(MemoryError("full")))
            with pytest.raises(MemoryError, match="full"):
                next(lanes.train(1, recipe(1), data, resume=None, device="cpu"))
        lanes.enter(2)
        epochs = lanes.train(2, recipe(2), data, resume=None, device="cpu")
        lanes.leave(1)
        assert [epoch.index for epoch in epochs] == [1, 2]


def test_halves_of_batches_go_in_no_lane_and_nobody_waits_for_them(tmp_path: Path) -> None:
    data = load(recipe(0).data, roots=(), split_seed=0, cache_dir=tmp_path)
    lanes = SharedLanes(capacity=2)
    with lanes.turn:
        lanes.enter(1)
        lanes.enter(2)
        halved = lanes.train(1, recipe(1), data, resume=None, device="cpu", halvings=1)
        with pytest.raises(LaneRefused, match="memory having run out"):
            next(halved)
        epochs = lanes.train(2, recipe(2), data, resume=None, device="cpu")
        assert [epoch.index for epoch in epochs] == [1, 2]
