"""A training that is ended in the middle of an epoch goes on there, to the last bit."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from models.data.loading import Dataset
from models.entries import catalog
from models.exported.export import save_model
from models.recipe import Recipe
from models.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from models.training.lanes.lanes import LaneRefused, Lanes
from models.training.train import Epoch, Interrupted, train
from tests.unit.models.conftest import first

MakeRecipe = Callable[..., Recipe]
EPOCHS = 3
#: Of 160 digits in batches of 32.
STEPS = 5
AUGMENTATIONS = {name: e.strength.default for name, e in catalog().augmentations.items()}


@pytest.fixture(scope="module")
def few_digits(digits: Dataset) -> Dataset:
    return replace(digits, train=first(digits.train, 160), val=first(digits.val, 40))


@pytest.fixture(autouse=True)
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is told, as if each took a second."""
    monkeypatch.setattr("models.training.pace.TELL_EVERY_S", 0.0)


def trained_until(
    step: int, recipe: Recipe, data: Dataset, resume: Checkpoint | None = None
) -> tuple[list[Epoch], Checkpoint]:
    """The epochs before the training was ended after so many steps in all, and its state there."""
    epochs: list[Epoch] = []
    steps = count(1 + (resume.step if resume else 0))

    def end(done: int, total: int, loss: float) -> None:
        if next(steps) == step:
            raise Interrupted

    with pytest.raises(Interrupted) as raised:
        epochs.extend(train(recipe, data, resume=resume, progress=end))
    assert raised.value.state is not None
    return epochs, raised.value.state().copied()


def curve(epochs: list[Epoch]) -> list[dict[str, float]]:
    """The metrics without the clock's."""
    clock = {"seconds", "samples_per_second"}
    return [{k: v for k, v in e.metrics.items() if k not in clock} for e in epochs]


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("mlp", {"dropout": 0.2, "normalisation": "batch"}),
        ("mlp", {"schedule": "cosine", "warmup": 0.5}),
        ("mlp", {"schedule": "one_cycle", "clip_norm": 1.0}),
        ("mlp", {"averaging": "ema", "normalisation": "batch"}),
        ("mlp", {"averaging": "swa", "swa_start": 0.25, "normalisation": "batch"}),
        ("mlp", {"accumulation": 3, "dropout": 0.2}),
        ("mlp", {"balance": "sampling"}),
        ("mlp", {"precision": "float16"}),
        ("convnet", AUGMENTATIONS),
    ],
    ids=lambda given: given if isinstance(given, str) else " ".join(given)[:30],
)
def test_ended_at_any_step_it_goes_on_to_the_last_bit(
    model: str, config: dict[str, Any], make_recipe: MakeRecipe, few_digits: Dataset, tmp_path: Path
) -> None:
    recipe = make_recipe(model, config=config, epochs=EPOCHS)
    whole = [(epoch, epoch.checkpoint()) for epoch in train(recipe, few_digits)]
    for step in (1, STEPS, STEPS + 3, 3 * STEPS - 1):
        before, checkpoint = trained_until(step, recipe, few_digits)
        save_checkpoint(tmp_path / "amid", checkpoint)
        resumed = load_checkpoint(tmp_path / "amid")
        assert (resumed.epoch, resumed.step, resumed.amid_epoch) == (len(before), step, True)
        after = [(e, e.checkpoint()) for e in train(recipe, few_digits, resume=resumed)]
        assert curve(before + [e for e, _ in after]) == curve([e for e, _ in whole])
        for epoch, ended in after:
            expected = whole[epoch.index - 1][1]
            assert not ended.amid_epoch
            assert ended.step == expected.step
            assert ended.tensors.keys() == expected.tensors.keys()
            for name, tensor in ended.tensors.items():
                assert torch.equal(tensor, expected.tensors[name]), name


def test_ended_again_in_the_same_epoch_it_goes_on_from_there(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    recipe = make_recipe(config={"dropout": 0.2}, epochs=EPOCHS)
    _, once = trained_until(STEPS + 1, recipe, few_digits)
    _, twice = trained_until(STEPS + 4, recipe, few_digits, once)
    assert (twice.epoch, twice.step) == (1, STEPS + 4)
    after = list(train(recipe, few_digits, resume=twice))
    assert curve(after) == curve(list(train(recipe, few_digits)))[1:]


def test_an_epoch_s_time_is_that_of_all_who_trained_it(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    recipe = make_recipe(epochs=1)
    _, checkpoint = trained_until(2, recipe, few_digits)
    tensors = {**checkpoint.tensors, "partial.seconds": torch.tensor(100.0, dtype=torch.float64)}
    (epoch,) = train(recipe, few_digits, resume=replace(checkpoint, tensors=tensors))
    assert 100 < epoch.metrics["seconds"] < 110
    assert 14 < epoch.metrics["samples_per_second"] * 10 < 16


def test_a_network_amid_an_epoch_is_not_exported(
    make_recipe: MakeRecipe, few_digits: Dataset, tmp_path: Path
) -> None:
    _, checkpoint = trained_until(STEPS + 2, make_recipe(epochs=EPOCHS), few_digits)
    with pytest.raises(ValueError, match="Step 7 is amid an epoch"):
        save_model(tmp_path / "model", checkpoint)


def test_a_lane_takes_no_training_in_the_middle_of_an_epoch(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    recipe = make_recipe(optimizer="sgd", epochs=EPOCHS)
    _, checkpoint = trained_until(STEPS + 2, recipe, few_digits)
    lanes = Lanes(recipe, few_digits, capacity=1)
    with pytest.raises(LaneRefused, match="in the middle of an epoch"):
        lanes.admit(0, recipe, resume=checkpoint)
    assert lanes.free == [0]
