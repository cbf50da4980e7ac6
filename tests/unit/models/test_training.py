"""Training learns, repeats itself to the last bit, and goes on where it stopped."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.catalog import ConfigRefused, DataSource
from models.data.loading import Dataset
from models.domains import SCHEDULES
from models.entries import catalog
from models.losses.entries import FOR_TEXT
from models.recipe import Recipe
from models.training.checkpoint import load_checkpoint, save_checkpoint
from models.training.schedule import lr_factor, plateau_factor
from models.training.train import Diverged, Epoch, ResumeRefused, train
from tests.unit.models.conftest import first

MakeRecipe = Callable[..., Recipe]
AsKind = Callable[[str, Dataset], Dataset]
MODELS, OPTIMIZERS, LOSSES = (
    sorted(kind) for kind in (catalog().models, catalog().optimizers, catalog().losses)
)
#: What is a little larger than the smallest, so that every optimizer has a fair chance.
LEARNS: dict[str, dict[str, Any]] = {
    "convnet": {"depth": 3, "width": 8},
    "resnet": {"stages": 3, "width": 8},
    "vit": {},
    "mlp": {},
    "transformer": {"width": 64, "depth": 2, "patch": 1},
    "tcn": {"width": 32},
    "gru": {"width": 96, "depth": 1, "readout": "last"},
    "char_lm": {},
}
#: Images of these a training that learns needs: half of the digits.
LEARNED = 720
#: Slow by nature in their first steps: so few images take them twice the epochs.
SLOW = {"muon", "radam", "poisson"}
#: All that draws random numbers while a network learns.
DROPS = dict.fromkeys(("dropout", "attention_dropout", "residual_dropout", "stochastic_depth"), 0.2)


@pytest.fixture(scope="module")
def few_digits(digits: Dataset) -> Dataset:
    """160 digits to train with and 40 to validate: a training of ten steps is enough here."""
    return replace(digits, train=first(digits.train, 160), val=first(digits.val, 40))


def curve(epochs: list[Epoch]) -> list[dict[str, float]]:
    """The metrics without the clock's."""
    clock = {"seconds", "samples_per_second"}
    return [{k: v for k, v in e.metrics.items() if k not in clock} for e in epochs]


def same_tensors(left: Mapping[str, torch.Tensor], right: Mapping[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize(
    ("model", "optimizer", "loss"),
    [
        names
        for names in itertools.product(MODELS, OPTIMIZERS, LOSSES)
        # One model with everything, the others with every optimizer and with every loss.
        if (names[0] == "mlp" or names[1] == "adamw" or names[2] == "cross_entropy")
        and (names[0] != "char_lm" or names[2] in FOR_TEXT)
    ],
)
def test_every_combination_learns_in_a_few_epochs(
    model: str,
    optimizer: str,
    loss: str,
    make_recipe: MakeRecipe,
    as_kind: AsKind,
    request: pytest.FixtureRequest,
) -> None:
    numbers = catalog().losses[loss].takes == "numbers"
    fixture = {"bce": "odd_or_even", "poisson": "ink_counts"}.get(loss, "ink" if numbers else "")
    images = request.getfixturevalue(fixture or "digits")
    data = as_kind(model, replace(images, train=first(images.train, LEARNED)))
    epochs = 8 if {optimizer, loss} & SLOW else 4
    recipe = make_recipe(model, optimizer=optimizer, loss=loss, config=LEARNS[model], epochs=epochs)
    start, *_, last = (epoch.metrics for epoch in train(recipe, data))
    if data.shape.kind == "text":
        assert last["train_loss"] < 0.95 * start["train_loss"]
        # Blind guessing is as perplexed as there are characters.
        assert last["val_perplexity"] < 0.5 * data.shape.classes
    elif loss == "poisson":
        counts = data.train.labels
        # Between the loss of answering their mean, where training begins, and that of answering
        # every count itself lies what can be learned.
        blind = float(counts.mean() - torch.xlogy(counts.mean(), counts.mean()))
        least = float((counts - torch.xlogy(counts, counts)).mean())
        assert last["train_loss"] - least < 0.6 * (blind - least)
    elif numbers:
        assert last["train_loss"] < 0.6 * start["train_loss"]
        assert last["val_r2"] > 0.75
    else:
        assert last["train_loss"] < 0.5 * start["train_loss"]
        assert last["val_accuracy"] > 0.8


@pytest.mark.parametrize(
    ("model", "epochs"),
    [("convnet", 8), ("resnet", 5), ("vit", 6), ("transformer", 5), ("tcn", 4), ("gru", 8)],
)
def test_the_default_configuration_is_good_at_digits(
    model: str, epochs: int, make_recipe: MakeRecipe, as_kind: AsKind, digits: Dataset
) -> None:
    recipe, data = replace(make_recipe(model, epochs=epochs), config={}), as_kind(model, digits)
    assert max(epoch.metrics["val_accuracy"] for epoch in train(recipe, data)) > 0.96


def test_an_epoch_reports_all_its_metrics(make_recipe: MakeRecipe, few_digits: Dataset) -> None:
    epochs = list(train(make_recipe(epochs=2), few_digits))
    assert [epoch.index for epoch in epochs] == [1, 2]
    for epoch in epochs:
        assert epoch.metrics.keys() == {
            "train_loss",
            "train_accuracy",
            "val_loss",
            "val_accuracy",
            "val_balanced_accuracy",
            "val_f1",
            "val_roc_auc",
            "val_average_precision",
            "learning_rate",
            "seconds",
            "samples_per_second",
        }
        assert all(math.isfinite(value) for value in epoch.metrics.values())
        assert epoch.metrics["samples_per_second"] > 0


def test_of_numbers_an_epoch_reports_what_fits_them(make_recipe: MakeRecipe, ink: Dataset) -> None:
    (epoch,) = train(make_recipe(loss="huber", epochs=1), ink)
    assert epoch.metrics.keys() == {
        "train_loss",
        "val_loss",
        "val_rmse",
        "val_mae",
        "val_r2",
        "learning_rate",
        "seconds",
        "samples_per_second",
    }


@pytest.mark.parametrize(("loss", "data"), [("mse", "ink"), ("poisson", "ink_counts")])
def test_a_training_of_numbers_resumed_goes_on_to_the_last_bit(
    loss: str, data: str, make_recipe: MakeRecipe, request: pytest.FixtureRequest
) -> None:
    numbers, recipe = request.getfixturevalue(data), make_recipe(loss=loss)
    first, *rest = ((epoch, epoch.checkpoint()) for epoch in train(recipe, numbers))
    resumed = list(train(recipe, numbers, resume=first[1]))
    assert curve(resumed) == curve([epoch for epoch, _ in rest])
    assert same_tensors(resumed[-1].checkpoint().tensors, rest[-1][1].tensors)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_curve_and_another_another(
    model: str, make_recipe: MakeRecipe, as_kind: AsKind, few_digits: Dataset
) -> None:
    recipe = make_recipe(model, config=DROPS)
    data = as_kind(model, few_digits)
    once, again = (curve(list(train(recipe, data))) for _ in range(2))
    assert once == again
    assert curve(list(train(replace(recipe, seed=1), data))) != once


def test_trainings_that_take_turns_do_not_disturb_each_other_nor_torch(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    recipes = [make_recipe(config={"dropout": 0.3}, seed=seed) for seed in (1, 2)]
    alone = [curve(list(train(recipe, few_digits))) for recipe in recipes]
    before = torch.get_rng_state()
    turns = list(zip(*(train(recipe, few_digits) for recipe in recipes), strict=True))
    assert [curve(list(epochs)) for epochs in zip(*turns, strict=True)] == alone
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [
        *((optimizer, "cosine") for optimizer in OPTIMIZERS),
        *(("adamw", schedule) for schedule in SCHEDULES if schedule != "cosine"),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_a_training_resumed_from_its_file_goes_on_to_the_last_bit(
    model: str,
    optimizer: str,
    schedule: str,
    make_recipe: MakeRecipe,
    as_kind: AsKind,
    few_digits: Dataset,
    tmp_path: Path,
) -> None:
    config = {"schedule": schedule, "clip_norm": 1.0, **DROPS}
    recipe = make_recipe(model, optimizer=optimizer, config=config, epochs=4)
    resumes_to_the_last_bit(recipe, as_kind(model, few_digits), tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"averaging": "ema"},
        {"averaging": "swa", "swa_start": 0.25},
        {"averaging": "swa", "swa_start": 0.75},
        {"accumulation": 3},
        {"precision": "bfloat16"},
        {"precision": "float16", "clip_norm": 1.0},
        {"precision": "bfloat16", "averaging": "swa", "swa_start": 0.25, "accumulation": 2},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_a_training_with_more_to_remember_repeats_and_resumes_to_the_last_bit(
    options: dict[str, Any], make_recipe: MakeRecipe, few_digits: Dataset, tmp_path: Path
) -> None:
    config = {"dropout": 0.2, "normalisation": "batch"} | options
    recipe = make_recipe(config=config, epochs=4)
    whole = resumes_to_the_last_bit(recipe, few_digits, tmp_path)
    assert curve(list(train(recipe, few_digits))) == curve(whole)


def resumes_to_the_last_bit(recipe: Recipe, data: Dataset, folder: Path) -> list[Epoch]:
    """Assert it, of a recipe of four epochs interrupted after two; the epochs as they should be."""
    whole, checkpoints = [], []
    for epoch in train(recipe, data):
        whole.append(epoch)
        checkpoints.append(epoch.checkpoint())
    save_checkpoint(folder / "epoch2", checkpoints[1])
    resumed = load_checkpoint(folder / "epoch2")
    for epoch in train(recipe, data, resume=resumed):
        assert curve([epoch]) == curve([whole[epoch.index - 1]])
        assert same_tensors(epoch.checkpoint().tensors, checkpoints[epoch.index - 1].tensors)
    assert epoch.index == 4
    return whole


@pytest.mark.parametrize("seed", [0, 1])
def test_a_training_with_every_augmentation_repeats_and_resumes_to_the_last_bit(
    seed: int, make_recipe: MakeRecipe, few_digits: Dataset, tmp_path: Path
) -> None:
    strengths = {name: e.strength.default for name, e in catalog().augmentations.items()}
    recipe = make_recipe("convnet", config=strengths, epochs=4, seed=seed)
    whole = resumes_to_the_last_bit(recipe, few_digits, tmp_path)
    assert curve(list(train(recipe, few_digits))) == curve(whole)
    plain = make_recipe("convnet", epochs=4, seed=seed)
    assert curve(list(train(plain, few_digits))) != curve(whole)


def test_on_a_plateau_the_rate_falls_to_a_tenth_whether_resumed_or_not(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    still = {"lr": 1e-30, "warmup": 0.0, "normalisation": "none", "schedule": "plateau"}
    recipe = make_recipe(optimizer="sgd", config=still, epochs=6)
    epochs, checkpoints = [], []
    for epoch in train(recipe, few_digits):
        epochs.append(epoch)
        checkpoints.append(epoch.checkpoint())
    rates = [epoch.metrics["learning_rate"] for epoch in epochs]
    # The first epoch is the best; then two may pass, and the third is one too many.
    assert rates == pytest.approx([1e-30] * 4 + [1e-31] * 2)
    resumed = list(train(recipe, few_digits, resume=checkpoints[2]))
    assert curve(resumed) == curve(epochs[3:])


def test_a_checkpoint_does_not_change_as_training_goes_on(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    training = train(make_recipe(), few_digits)
    checkpoint = next(training).checkpoint()
    before = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    list(training)
    assert same_tensors(checkpoint.tensors, before)


def test_a_finished_training_resumes_into_nothing(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    *_, last = train(make_recipe(), few_digits)
    assert list(train(make_recipe(), few_digits, resume=last.checkpoint())) == []


def test_another_recipes_checkpoint_is_refused(
    make_recipe: MakeRecipe, few_digits: Dataset, digits: Dataset
) -> None:
    checkpoint = next(train(make_recipe(), few_digits)).checkpoint()
    with pytest.raises(ResumeRefused, match="seed=5"):
        next(train(make_recipe(seed=5), few_digits, resume=checkpoint))
    changed = replace(digits, fingerprint="other")
    with pytest.raises(ResumeRefused, match="digits has changed"):
        next(train(make_recipe(), changed, resume=checkpoint))


def test_a_loss_without_end_ends_the_training_with_its_step(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    recipe = make_recipe(
        optimizer="sgd",
        config={"lr": 1e30, "schedule": "constant", "warmup": 0.0, "normalisation": "none"},
    )
    with pytest.raises(Diverged) as caught:
        list(train(recipe, few_digits))
    assert caught.value.epoch == 1
    assert 1 < caught.value.step <= 5
    assert f"step {caught.value.step}, in epoch 1" in str(caught.value)


def test_clipping_shortens_the_steps(make_recipe: MakeRecipe, few_digits: Dataset) -> None:
    plain = {"schedule": "constant", "warmup": 0.0, "momentum": 0.0, "weight_decay": 0.0}

    def weights(**config: float) -> torch.Tensor:
        recipe = make_recipe(optimizer="sgd", config=plain | config, epochs=1)
        return next(train(recipe, few_digits)).checkpoint().tensors["model.head.weight"]

    free, barely = weights(), weights(clip_norm=1e-9)
    start = weights(lr=1e-30)
    torch.testing.assert_close(barely, start, rtol=0, atol=1e-7)
    assert (free - start).abs().max() > 1e-3


def test_a_batch_larger_than_the_data_is_all_of_it(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    epoch = next(train(make_recipe(config={"batch_size": 4096}), few_digits))
    assert epoch.checkpoint().step == 1


@pytest.mark.parametrize("config", [{"lr": -1.0}, {"batch_size": 0}, {"schedule": "sometimes"}])
def test_an_impossible_value_is_refused_before_the_first_step(
    config: dict[str, Any], make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    ((name, value),) = config.items()
    with pytest.raises(ConfigRefused, match=name) as caught:
        next(train(make_recipe(config=config), few_digits))
    assert caught.value.value == value


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_stays_above_zero_and_peaks_at_the_full_rate(schedule: str) -> None:
    factors = [lr_factor(schedule, step, steps=100, warmup=0.1) for step in range(100)]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1, abs=1e-3)
    assert factors[0] < 0.2
    assert schedule in ("constant", "plateau") or factors[-1] < 0.02


@pytest.mark.parametrize(
    ("schedule", "step", "factor"),
    [
        ("constant", 99, 1.0),
        ("cosine", 50, 0.5),
        ("linear", 0, 1.0),
        ("linear", 50, 0.5),
        ("linear", 99, 0.01),
        ("step", 49, 1.0),
        ("step", 50, 0.1),
        ("step", 75, 0.01),
        ("one_cycle", 0, 1 / 25),
        ("one_cycle", 30, 1.0),
        ("one_cycle", 65, 0.5),
    ],
)
def test_a_schedule_goes_through_its_points(schedule: str, step: int, factor: float) -> None:
    assert lr_factor(schedule, step, steps=100, warmup=0.0) == pytest.approx(factor)


@pytest.mark.parametrize("epochs", [12, 40])
def test_plateaus_are_found_as_torch_finds_them(epochs: int) -> None:
    random = torch.Generator().manual_seed(0)
    losses = (torch.rand(epochs, generator=random) / torch.arange(1, epochs + 1).sqrt()).tolist()
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.1, patience=max(2, epochs // 10), min_lr=0, eps=0
    )
    for count, loss in enumerate(losses, 1):
        torchs.step(loss)
        ours = plateau_factor(losses[:count], epochs=epochs)
        assert ours == pytest.approx(optimizer.param_groups[0]["lr"])
    assert ours < 1


def test_a_loss_below_zero_that_stays_is_a_plateau_too() -> None:
    assert plateau_factor([-1.0, -0.99995, -0.9999, -0.99995], epochs=4) == pytest.approx(0.1)


def test_a_single_step_has_a_rate_with_every_schedule() -> None:
    for schedule, warmup in itertools.product(SCHEDULES, (0.0, 0.3)):
        assert 0 < lr_factor(schedule, 0, steps=1, warmup=warmup) <= 1


def test_a_recipe_survives_json() -> None:
    recipe = Recipe(
        model="mlp", loss="bce", optimizer="sgd", data=DataSource(name="idx", path="folder"),
        config={"lr": 0.1, "nesterov": True}, epochs=3, seed=4, split_seed=5,
    )  # fmt: skip
    assert Recipe.from_json(recipe.to_json()) == recipe
