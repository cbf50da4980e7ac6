"""Batches in parts, averaged weights, fewer bits: what a spec may ask of training."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from models.data.loading import Dataset, Split
from models.exported.export import load_model, save_model
from models.recipe import Recipe
from models.training.averaging import LateAverage, MovingAverage
from models.training.entry import parts_of
from models.training.evaluate import evaluate
from models.training.precision import FLOAT32, Mixed, Scaled, precision_of
from models.training.train import Epoch, Training, train

MakeRecipe = Callable[..., Recipe]


@pytest.fixture(scope="module")
def few_digits(digits: Dataset) -> Dataset:
    """150 digits to train with and 40 to validate."""

    def first(split: Split, rows: int) -> Split:
        return Split(inputs=split.inputs[:rows], labels=split.labels[:rows])

    return replace(digits, train=first(digits.train, 150), val=first(digits.val, 40))


def last_of(recipe: Recipe, data: Dataset) -> Epoch:
    *_, last = train(recipe, data)
    return last


@pytest.mark.parametrize(
    ("accumulation", "rows", "parts"),
    [(1, 64, 1), (4, 64, 4), (3, 64, 3), (64, 64, 32), (4, 5, 2), (4, 1, 1)],
)
def test_each_part_of_a_batch_has_two_rows_at_least(
    accumulation: int, rows: int, parts: int
) -> None:
    assert parts_of({"accumulation": accumulation}, rows) == parts


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("mlp", {"accumulation": 2}),
        # Of 30 rows parts of 8, 8, 7 and 7: each counts by its rows.
        ("mlp", {"accumulation": 4, "clip_norm": 0.5}),
        ("mlp", {"accumulation": 4, "label_smoothing": 0.1}),
        ("convnet", {"accumulation": 4, "mixup": 0.4, "shift": 0.2}),
    ],
)
def test_a_batch_in_parts_teaches_what_it_teaches_whole(
    model: str, options: dict[str, Any], make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    config = {"normalisation": "layer", "batch_size": 30} | options
    parted = make_recipe(model, optimizer="sgd", config=config, epochs=2)
    whole = replace(parted, config={**parted.config, "accumulation": 1})
    ours, theirs = (last_of(recipe, few_digits) for recipe in (parted, whole))
    for name, tensor in theirs.checkpoint().part("model").items():
        torch.testing.assert_close(ours.checkpoint().tensors[f"model.{name}"], tensor)
    for metric in ("train_loss", "train_accuracy", "val_loss", "learning_rate"):
        assert ours.metrics[metric] == pytest.approx(theirs.metrics[metric], rel=1e-4)


def test_batch_normalisation_sees_the_part_and_not_the_batch(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    def rows_seen(accumulation: int) -> list[int]:
        recipe = make_recipe("mlp", config={"normalisation": "batch", "accumulation": accumulation})
        training = Training.begin(recipe, few_digits, "cpu")
        norm = next(m for m in training.learner.model.modules() if isinstance(m, nn.BatchNorm1d))
        seen: list[int] = []
        norm.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
        training.take_step(torch.arange(32))
        return seen

    assert rows_seen(1) == [32]
    assert rows_seen(3) == [11, 11, 10]


def test_a_moving_average_soon_forgets_the_start_and_never_more_than_its_decay_says() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 100.0)
    average = MovingAverage(model, decay=0.19)
    expected = 100.0
    for weight, decay in [(4.0, 1 / 10), (1.0, 2 / 11), (-2.0, 0.19), (8.0, 0.19)]:
        nn.init.constant_(model.weight, weight)
        average.after_step()
        expected = decay * expected + (1 - decay) * weight
        assert average.network.get_parameter("weight").item() == pytest.approx(expected)


def test_a_moving_average_has_averaged_statistics_and_counts_as_they_are() -> None:
    model = nn.BatchNorm1d(1)
    average = MovingAverage(model, decay=0.5)
    nn.init.constant_(model.get_buffer("running_mean"), 10.0)
    model.get_buffer("num_batches_tracked").add_(3)
    average.after_step()
    assert average.network.get_buffer("running_mean").item() == pytest.approx(9.0)
    assert average.network.get_buffer("num_batches_tracked").item() == 3


def test_a_late_average_is_the_mean_of_late_epochs_with_statistics_of_its_own() -> None:
    inputs = torch.tensor([[1.0], [3.0]])
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = LateAverage(model, after=1)

    def after(epoch: int, weight: float) -> Tensor:
        nn.init.constant_(model.get_parameter("0.weight"), weight)
        average.after_step()
        average.after_epoch(epoch, [inputs])
        return average.network.get_parameter("0.weight")

    assert after(1, 100.0) is model.get_parameter("0.weight")
    assert average.tensors() == {}
    after(2, 1.0)
    assert after(3, 4.0).item() == 2.5
    # Of the mean weight's outputs 2.5 and 7.5.
    assert average.network.get_buffer("1.running_mean").item() == pytest.approx(5.0)
    assert model.get_buffer("1.running_mean").item() == 0.0


@pytest.mark.parametrize("averaging", ["none", "ema", "swa"])
def test_what_is_judged_is_what_is_taken_away(
    averaging: str, make_recipe: MakeRecipe, few_digits: Dataset, tmp_path: Path
) -> None:
    config = {"averaging": averaging, "swa_start": 0.3, "normalisation": "batch"}
    last = last_of(make_recipe("convnet", config=config, epochs=3), few_digits)
    checkpoint = last.checkpoint()
    save_model(tmp_path / "model", checkpoint)
    scores = evaluate(load_model(tmp_path / "model"), few_digits)
    for name in ("loss", "accuracy", "roc_auc"):
        assert scores[name] == pytest.approx(last.metrics[f"val_{name}"], rel=1e-6)
    same = all(torch.equal(checkpoint.network[k], v) for k, v in checkpoint.part("model").items())
    assert same is (averaging == "none")


@pytest.mark.parametrize("averaging", ["ema", "swa"])
def test_averaging_does_not_change_how_the_weights_themselves_learn(
    averaging: str, make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    plain = make_recipe(config={"normalisation": "batch"}, epochs=3)
    averaged = replace(plain, config={**plain.config, "averaging": averaging})
    ours, theirs = (last_of(recipe, few_digits).checkpoint() for recipe in (averaged, plain))
    for name, tensor in theirs.part("model").items():
        assert torch.equal(ours.part("model")[name], tensor)


def test_an_average_keeps_its_networks_memory_format(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    recipe = make_recipe("convnet", config={"averaging": "ema"})
    training = Training.begin(recipe, few_digits, "cpu")
    strides = [p.stride() for p in training.learner.averaging.network.parameters()]
    assert strides == [p.stride() for p in training.learner.model.parameters()]


@pytest.mark.parametrize("model", ["mlp", "convnet"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_network_learns_in_fewer_bits_nearly_as_in_all_and_keeps_all_of_its_weights(
    precision: str, model: str, make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    recipe = make_recipe(model, config={"precision": precision}, epochs=6)
    whole = replace(recipe, config={**recipe.config, "precision": "float32"})
    last, exact = last_of(recipe, few_digits), last_of(whole, few_digits)
    assert last.metrics["train_loss"] != exact.metrics["train_loss"]
    assert last.metrics["train_loss"] == pytest.approx(exact.metrics["train_loss"], rel=0.02)
    weights = last.checkpoint().part("model").values()
    assert {w.dtype for w in weights if w.is_floating_point()} == {torch.float32}


def test_losses_are_computed_in_float32_whatever_the_network_computes_in(
    make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    training = Training.begin(make_recipe(config={"precision": "bfloat16"}), few_digits, "cpu")
    answered: list[torch.dtype] = []
    judged: list[torch.dtype] = []
    training.val_loss.register_forward_pre_hook(lambda _m, inputs: judged.append(inputs[0].dtype))
    training.learner.model.register_forward_hook(
        lambda _m, _i, outputs: answered.append(outputs.dtype)
    )
    training.learner.loss.register_forward_pre_hook(
        lambda _m, inputs: judged.append(inputs[0].dtype)
    )
    training.advance()
    assert set(answered) == {torch.bfloat16}
    assert set(judged) == {torch.float32}
    assert len(answered) == len(judged) == 4 + 1


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_steps_that_scaling_leaves_out_are_no_divergence(
    optimizer: str, clip_norm: float, make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    config = {"precision": "float16", "clip_norm": clip_norm, "normalisation": "none"}
    training = Training.begin(make_recipe(optimizer=optimizer, config=config), few_digits, "cpu")
    before = {name: tensor.clone() for name, tensor in training.learner.model.state_dict().items()}
    assert isinstance(training.learner.precision, Scaled)
    training.learner.precision.scaler = GradScaler("cpu", init_scale=2.0**60)
    metrics = training.advance()
    assert metrics["train_loss"] < 10
    assert all(torch.equal(before[k], v) for k, v in training.learner.model.state_dict().items())
    assert training.step == 4
    assert training.learner.precision.tensors()["scale"].item() == 2.0**56


def test_automatic_precision_is_what_the_device_is_good_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert precision_of("auto", "cpu") is FLOAT32
    assert precision_of("float32", "cuda:0") is FLOAT32
    monkeypatch.setattr(torch.cuda, "device", lambda _device: nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    found = precision_of("auto", "cuda:0")
    assert isinstance(found, Mixed)
    assert (found.device_type, found.dtype) == ("cuda", torch.bfloat16)


@pytest.mark.parametrize(("model", "clip_norm"), [("vit", 1.0), ("convnet", 0.0)])
def test_a_recipe_that_does_not_say_clips_as_its_model_wants(
    model: str, clip_norm: float, make_recipe: MakeRecipe, few_digits: Dataset
) -> None:
    training = Training.begin(make_recipe(model), few_digits, "cpu")
    assert training.config["clip_norm"] == clip_norm
