"""A character model sees what came before and nothing else, learns real text, and writes on."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from models.build import build_model
from models.catalog import ConfigRefused, DataRefused, DataShape, DataSource
from models.data.loading import Dataset, load
from models.entries import catalog
from models.exported.continuation import Drawing
from models.exported.export import load_model, save_model
from models.exported.predict import predict
from models.networks.char_lm import CharLM
from models.optimizers.muon import hidden_weights
from models.recipe import Recipe
from models.training.evaluate import evaluate
from models.training.metrics import Tally, TextTally
from models.training.probe import probe
from models.training.train import train

SMALL = {"depth": 1, "width": 32, "heads": 2, "batch_size": 16, "lr": 1e-2}
ENTRY = catalog().models["char_lm"]


def recipe_of(*, config: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    values: dict[str, Any] = {
        "model": "char_lm",
        "loss": "cross_entropy",
        "optimizer": "adamw",
        "data": DataSource(name="text", path="help.txt", options={"context": 32}),
        "config": SMALL | (config or {}),
        "epochs": 3,
        "seed": 0,
    }
    return Recipe(**values | changes)


def shape_of(context: int = 128, classes: int = 65) -> DataShape:
    return DataShape(
        input_shape=(context,), classes=classes, train_rows=6000, val_rows=700, test_rows=700,
        labels=(0, classes - 1), kind="text",
    )  # fmt: skip


@pytest.mark.parametrize("tied", [True, False])
def test_tied_or_not_perplexity_falls_below_a_fifth_of_blind_guessing(
    tied: bool, python_help: Dataset
) -> None:
    first, *_, last = train(recipe_of(config={"tied": tied}, epochs=6), python_help)
    # To know how often each character occurs, and nothing more, makes about 22.
    assert last.metrics["val_perplexity"] < python_help.shape.classes / 5
    assert last.metrics["train_loss"] < 0.8 * first.metrics["train_loss"]
    assert last.metrics["val_accuracy"] > 0.3


def test_an_epoch_reports_what_fits_a_text(python_help: Dataset) -> None:
    (epoch,) = train(recipe_of(epochs=1, config={"label_smoothing": 0.1}), python_help)
    metrics = epoch.metrics
    assert metrics.keys() == {
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "val_perplexity",
        "val_bits_per_character",
        "learning_rate",
        "seconds",
        "samples_per_second",
    }
    assert metrics["val_perplexity"] == pytest.approx(math.exp(metrics["val_loss"]), rel=1e-5)
    assert metrics["val_bits_per_character"] == pytest.approx(metrics["val_loss"] / math.log(2))
    assert 0 < metrics["train_accuracy"] < 1


def test_an_exported_model_has_the_reported_perplexity(
    python_help: Dataset, tmp_path: Path
) -> None:
    for tied in (True, False):
        (epoch,) = train(recipe_of(epochs=1, config={"tied": tied}), python_help)
        save_model(tmp_path / "model", epoch.checkpoint())
        scores = evaluate(load_model(tmp_path / "model"), python_help, "val")
        assert scores["perplexity"] == pytest.approx(epoch.metrics["val_perplexity"], rel=1e-6)
        assert evaluate(load_model(tmp_path / "model"), python_help, "test")["perplexity"] > 1


def test_a_probe_takes_a_step(python_help: Dataset) -> None:
    facts = probe(recipe_of(), python_help)
    assert facts["train_rows"] == python_help.train.rows
    module = build_model("char_lm", SMALL, python_help.shape)
    assert facts["parameters"] == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("tied", [True, False])
def test_no_place_sees_what_comes_after_it(tied: bool) -> None:
    torch.manual_seed(0)
    net = CharLM(input_shape=(10,), outputs=7, depth=2, width=16, heads=2, tied=tied).eval()
    codes = torch.randint(7, (3, 10))
    changed = codes.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 7
    before, after = net(codes), net(changed)
    assert before.shape == (3, 7, 10)
    torch.testing.assert_close(before[:, :, :6], after[:, :, :6])
    assert (before[:, :, 6:] - after[:, :, 6:]).abs().amax((0, 1)).min() > 1e-4
    torch.testing.assert_close(net(codes[:, :4]), before[:, :, :4])


def test_where_a_character_stands_matters() -> None:
    torch.manual_seed(0)
    net = CharLM(input_shape=(6,), outputs=4, depth=1, width=16).eval()
    logits = net(torch.zeros(1, 6, dtype=torch.int64))
    assert (logits[:, :, 0] - logits[:, :, 5]).abs().max() > 1e-4


def test_at_first_no_character_is_out_of_the_question() -> None:
    torch.manual_seed(0)
    for tied in (True, False):
        net = CharLM(input_shape=(64,), outputs=50, depth=3, width=64, tied=tied).eval()
        codes = torch.randint(50, (8, 65))
        loss = functional.cross_entropy(net(codes[:, :-1]), codes[:, 1:])
        assert loss.item() < 2 * math.log(50)


@pytest.mark.parametrize(
    "config",
    [
        {"tied": False, "depth": 1, "width": 1, "heads": 3},
        {"depth": 2, "width": 30, "heads": 7, "tied": False, "dropout": 0.5},
    ],
)
@pytest.mark.parametrize(("context", "classes"), [(2, 2), (33, 65), (128, 300)])
def test_layers_are_right_outside_the_default_space_too(
    config: dict[str, Any], context: int, classes: int
) -> None:
    shape = shape_of(context, classes)
    layers = list(ENTRY.layers(config, shape))
    with torch.device("meta"):
        module = build_model("char_lm", config, shape).eval()
        with FlopCounterMode(display=False) as counter:
            assert module(torch.zeros(4, context, dtype=torch.int64)).shape == (4, classes, context)
    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in module.parameters())
    assert 4 * sum(layer.flops for layer in layers) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"depth": 0}, "depth = 0 must be a whole number of at least 1"),
        ({"tied": 1}, "tied = 1 must be one of False, True"),
        ({"dropout": 1.0}, "dropout = 1.0 must be a number of at least 0 and below 1"),
    ],
)
def test_an_impossible_value_is_refused_by_name(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigRefused, match=message):
        list(ENTRY.layers(config, shape_of()))
    with pytest.raises(ConfigRefused, match=message):
        build_model("char_lm", config, shape_of())


def test_what_is_no_text_is_refused() -> None:
    image = replace(shape_of(), input_shape=(1, 8, 8), kind="image")
    message = r"model = 'char_lm' takes texts, not examples of \(1, 8, 8\)"
    with pytest.raises(ConfigRefused, match=message):
        list(ENTRY.layers({}, image))
    with pytest.raises(ConfigRefused, match=message):
        build_model("char_lm", {}, image)


def test_muon_turns_what_is_hidden_and_no_embedding_and_no_head() -> None:
    for tied in (True, False):
        net = CharLM(input_shape=(4,), outputs=9, depth=2, width=16, tied=tied)
        hidden = {id(weight) for weight in hidden_weights(net)}
        names = {name for name, p in net.named_parameters() if id(p) in hidden}
        assert names == {
            f"blocks.{block}.{layer}.weight"
            for block in (0, 1)
            for layer in ("attention.qkv", "attention.out", "mlp.0", "mlp.3")
        }


@pytest.mark.parametrize("sizes", [[12], [5, 7], [1] * 12])
def test_perplexity_is_e_to_the_mean_loss_however_the_rows_come(sizes: list[int]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(12, 6, 5, generator=generator)
    labels = torch.randint(6, (12, 5), generator=generator)
    tally = Tally.of(shape_of(5, 6))
    assert isinstance(tally, TextTally)
    for some_logits, some_labels in zip(logits.split(sizes), labels.split(sizes), strict=True):
        tally.add(some_logits, some_labels)
    likelihoods = logits.double().softmax(1).gather(1, labels.unsqueeze(1))
    found = tally.metrics()
    assert found["perplexity"] == pytest.approx(float((-likelihoods.log().mean()).exp()))
    assert found["bits_per_character"] == pytest.approx(float(-likelihoods.log2().mean()))
    assert found["accuracy"] == pytest.approx(float((logits.argmax(1) == labels).double().mean()))


def test_a_hopeless_perplexity_is_a_number_still() -> None:
    tally = TextTally()
    tally.add(torch.tensor([[[1e6], [0.0]]]), torch.tensor([[1]]))
    assert math.isfinite(tally.metrics()["perplexity"])


def test_logits_of_many_characters_are_not_all_made_at_once(
    python_help: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.training.evaluate._OUTPUTS", 3 * 32 * python_help.shape.classes)
    module = build_model("char_lm", SMALL, python_help.shape)
    largest = 0

    def measure(_module: object, inputs: tuple[torch.Tensor], _logits: torch.Tensor) -> None:
        nonlocal largest
        largest = max(largest, len(inputs[0]))

    module.register_forward_hook(measure)
    few = evaluate(module, python_help, "val")
    assert largest == 3
    monkeypatch.undo()
    assert evaluate(module, python_help, "val") == pytest.approx(few, rel=1e-6)


@pytest.fixture(scope="module")
def trained(python_help: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    *_, last = train(recipe_of(epochs=4), python_help)
    path = tmp_path_factory.mktemp("model") / "model"
    save_model(path, last.checkpoint())
    return path


@pytest.fixture
def write_on(trained: Path, tmp_path: Path) -> Callable[..., str]:
    def write(prompt: str, **drawing: Any) -> str:
        (tmp_path / "prompt.txt").write_text(prompt)
        text = predict(trained, tmp_path / "prompt.txt", Drawing(**drawing)).text
        assert text is not None
        return text

    return write


def test_a_network_writes_on_in_characters_it_knows(
    write_on: Callable[..., str], python_help: Dataset
) -> None:
    text = write_on("The ", characters=300)
    assert len(text) == 300
    assert set(text) <= set(python_help.preparation.to_json()["vocabulary"])
    # Every sixth character of the text is a blank: what is drawn is no noise.
    assert 0.08 < text.count(" ") / 300 < 0.5


def test_the_same_seed_writes_the_same_and_without_temperature_every_seed_does(
    write_on: Callable[..., str],
) -> None:
    assert write_on("The ", seed=1) == write_on("The ", seed=1) != write_on("The ", seed=2)
    greedy = {write_on("The ", characters=50, temperature=0, seed=seed) for seed in (1, 2)}
    assert len(greedy) == 1


def test_of_a_long_prompt_the_last_window_counts(write_on: Callable[..., str]) -> None:
    prompt = "".join(random.Random(0).choices("the statement ", k=100))
    assert write_on(prompt, characters=40) == write_on(prompt[-32:], characters=40)
    assert write_on(prompt, characters=40) != write_on(prompt[-32:-4], characters=40)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (
            "Ein schöner Tag",
            "Character 'ö', number 8 of prompt.txt, does not occur in the text the network was "
            "trained on; write it otherwise.",
        ),
        ("", "prompt.txt is empty; write text into it."),
    ],
)
def test_a_prompt_that_cannot_be_continued_is_refused(
    prompt: str, message: str, write_on: Callable[..., str]
) -> None:
    with pytest.raises(DataRefused) as caught:
        write_on(prompt)
    assert str(caught.value) == message


def test_the_unknown_character_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("ab" * 200 + "é" * 40)
    source = DataSource(name="text", path="some.txt", options={"context": 4})
    data = load(source, roots=(str(tmp_path),), cache_dir=tmp_path / "cache")
    assert data.shape.classes == 3
    (epoch,) = train(recipe_of(epochs=1, data=source, config={"batch_size": 8}), data)
    save_model(tmp_path / "model", epoch.checkpoint())
    (tmp_path / "prompt.txt").write_text("a")
    text = predict(tmp_path / "model", tmp_path / "prompt.txt", Drawing(temperature=10.0)).text
    assert set(text or "") == {"a", "b"}
