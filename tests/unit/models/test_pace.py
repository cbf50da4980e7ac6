"""An epoch that lasts says how far it is; a short one says nothing."""

import pytest
import torch

from models.catalog import DataSource
from models.data.loading import Dataset
from models.recipe import Recipe
from models.training.pace import Pace, unheard
from models.training.train import Training, train


class Clock:
    """Shows a later time at each look."""

    def __init__(self, step_s: float) -> None:
        self._now, self._step_s = 0.0, step_s

    def __call__(self) -> float:
        self._now += self._step_s
        return self._now


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        model="mlp",
        data=DataSource(name="digits"),
        loss="cross_entropy",
        optimizer="sgd",
        config={"batch_size": 100, "width": 8},
        epochs=2,
        seed=0,
    )


def test_of_a_long_epoch_every_second_is_told() -> None:
    told: list[tuple[int, int, float]] = []
    pace = Pace(lambda done, total, loss: told.append((done, total, loss)), Clock(0.4))
    losses = torch.tensor([4.0, 2.0, 3.0, 1.0, 0.0, 2.0])
    pace.begin_epoch()
    for done in range(1, 7):
        pace.after_step(done, losses)
    assert told == [(3, 6, 3.0), (6, 6, 2.0)]


def test_of_short_epochs_nothing_is_told() -> None:
    told: list[int] = []
    pace = Pace(lambda done, total, loss: told.append(done), Clock(0.3))
    for _epoch in range(10):
        pace.begin_epoch()
        for done in (1, 2):
            pace.after_step(done, torch.zeros(2))
    assert told == []


def test_training_tells_steps_of_the_epoch_and_the_mean_of_their_losses(
    recipe: Recipe, digits: Dataset
) -> None:
    told: list[tuple[int, int, float]] = []
    training = Training.begin(recipe, digits, "cpu")
    training.pace = Pace(lambda *place: told.append(place), Clock(2.0))
    metrics = training.advance()
    steps = training.steps_per_epoch
    assert [(done, total) for done, total, _ in told] == [(n, steps) for n in range(1, steps + 1)]
    assert told[-1][2] == metrics["train_loss"]


def test_to_tell_changes_nothing(recipe: Recipe, digits: Dataset) -> None:
    clocked = {"seconds", "samples_per_second"}
    curves = []
    for pace in (Pace(unheard), Pace(lambda *place: None, Clock(2.0))):
        training = Training.begin(recipe, digits, "cpu")
        training.pace = pace
        curves.append({k: v for k, v in training.advance().items() if k not in clocked})
    assert curves[0] == curves[1]


def test_what_the_listener_raises_ends_the_training_there(
    recipe: Recipe, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.training.pace.TELL_EVERY_S", 0.0)

    def refuse(done: int, total: int, loss: float) -> None:
        raise InterruptedError(done)

    with pytest.raises(InterruptedError, match="1"):
        next(train(recipe, digits, progress=refuse))
