"""What the attempts of one worker share, when something goes wrong with all of it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.data.loading import Dataset, load
from models.recipe import Recipe
from models.training.lanes.lanes import LaneRefused, Lanes
from models.training.pace import Progress, unheard
from tuner.shared_lanes import LanesExceedMemory, LanesFailed, SharedLanes


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


def raising(error: Exception) -> Callable[..., Any]:
    def raises(*args: object, **named: object) -> Any:
        raise error

    return raises


def both_asking(lanes: SharedLanes, data: Dataset, *tell: Progress) -> list[BaseException | int]:
    """What two attempts, each in a thread of its own, meet: an error, or how many epochs."""
    found: list[BaseException | int] = [0, 0]

    def run(which: int) -> None:
        with lanes.turn:
            told = tell[which] if tell else unheard
            of = recipe(which)
            try:
                for epoch in lanes.train(which, of, data, resume=None, device="cpu", tell=told):
                    found[which] = epoch.index
            except Exception as error:
                found[which] = error
            lanes.leave(which)

    threads = [threading.Thread(target=run, args=(which,)) for which in (0, 1)]
    for which in (0, 1):
        lanes.enter(which)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return found


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load(recipe(0).data, roots=(), split_seed=0, cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("where", ["advance", "__init__"])
def test_memory_that_runs_out_ends_all_and_says_how_many_lanes_may_fit(
    where: str, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lanes, where, raising(torch.OutOfMemoryError("CUDA out of memory")))
    found = both_asking(SharedLanes(capacity=8), digits)
    assert [error.fitting for error in found if isinstance(error, LanesExceedMemory)] == [4, 4]


def test_what_several_trained_together_blames_nobody(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lanes, "advance", raising(ValueError("in one of them")))
    found = both_asking(SharedLanes(capacity=2), digits)
    assert [str(error) for error in found] == ["ValueError: in one of them"] * 2
    assert all(isinstance(error, LanesFailed) for error in found)


def test_who_is_stopped_amid_an_epoch_leaves_it_at_once_and_the_other_is_what_it_would_be(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.training.pace.TELL_EVERY_S", 0.0)
    places: list[tuple[int, int]] = []

    class Enough(Exception):
        pass

    def stop_at_third(done: int, total: int, loss: float) -> None:
        if done == 3:
            raise Enough

    def note(done: int, total: int, loss: float) -> None:
        assert loss > 0
        places.append((done, total))

    stopped, other = both_asking(SharedLanes(capacity=2), digits, stop_at_third, note)
    assert isinstance(stopped, Enough)
    assert other == 2
    steps = places[-1][1]
    assert places == [(done, steps) for _ in range(2) for done in range(1, steps + 1)]


def test_lanes_that_raised_are_left_and_an_attempt_that_comes_later_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(recipe(0).data, roots=(), split_seed=0, cache_dir=tmp_path)
    lanes = SharedLanes(capacity=2)
    with lanes.turn:
        lanes.enter(1)
        with monkeypatch.context() as patched:
            patched.setattr(Lanes, "advance", raising(MemoryError("full")))
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
