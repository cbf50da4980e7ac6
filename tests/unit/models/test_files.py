"""Checkpoints and models in files: whole, sealed, and enough to rebuild what they came from."""

import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from models.catalog import ConfigRefused, DataRefused
from models.data.loading import Dataset
from models.entries import catalog
from models.exported.export import describe_model, load_model, save_model
from models.files import move_whole, write_whole
from models.recipe import Recipe
from models.sealed import seal, unpack
from models.training.checkpoint import (
    Checkpoint,
    CheckpointCorrupt,
    load_checkpoint,
    save_checkpoint,
)
from models.training.evaluate import evaluate
from models.training.probe import probe
from models.training.train import train

MakeRecipe = Callable[..., Recipe]


@pytest.fixture(scope="module")
def checkpoint(make_recipe: MakeRecipe, digits: Dataset) -> Checkpoint:
    *_, last = train(make_recipe("convnet", config={"dropout": 0.1}), digits)
    return last.checkpoint()


@pytest.fixture
def saved(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    path = tmp_path / "trial" / "checkpoint.safetensors"
    assert save_checkpoint(path, checkpoint) == path.stat().st_size
    return path


def test_a_checkpoint_survives_its_file(checkpoint: Checkpoint, saved: Path) -> None:
    loaded = load_checkpoint(saved)
    assert loaded.tensors.keys() == checkpoint.tensors.keys()
    for name, tensor in loaded.tensors.items():
        assert tensor.dtype == checkpoint.tensors[name].dtype
        assert torch.equal(tensor, checkpoint.tensors[name])
    for fact in ("recipe", "shape", "preparation", "fingerprint", "epoch", "step"):
        assert getattr(loaded, fact) == getattr(checkpoint, fact)
    assert loaded.curve == list(checkpoint.curve)
    assert len(loaded.curve) == loaded.epoch


def test_a_checkpoint_from_before_there_were_any_amid_an_epoch_is_gone_on_from(
    digits: Dataset,
) -> None:
    frozen = load_checkpoint(Path(__file__).parent / "frozen" / "epoch-000001.safetensors")
    assert (frozen.epoch, frozen.step, frozen.amid_epoch) == (1, 7, False)
    epochs = list(train(frozen.recipe, digits, resume=frozen))
    assert [epoch.index for epoch in epochs] == [2, 3]
    assert epochs[-1].state().step == 21


def test_any_flipped_byte_is_noticed(saved: Path) -> None:
    content, rng = saved.read_bytes(), random.Random(0)
    header = int.from_bytes(content[:8], "little")
    places = [
        *(rng.randrange(8) for _ in range(10)),
        *(rng.randrange(8, 8 + header) for _ in range(40)),
        *(rng.randrange(8 + header, len(content)) for _ in range(50)),
    ]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= rng.randrange(1, 256)
        saved.write_bytes(flipped)
        with pytest.raises(CheckpointCorrupt, match="is no whole checkpoint"):
            load_checkpoint(saved)


def test_any_missing_or_added_end_is_noticed(saved: Path) -> None:
    content, rng = saved.read_bytes(), random.Random(0)
    for length in (
        0,
        1,
        7,
        8,
        9,
        len(content) - 1,
        *(rng.randrange(len(content)) for _ in "x" * 20),
    ):
        saved.write_bytes(content[:length])
        with pytest.raises(CheckpointCorrupt):
            load_checkpoint(saved)
    saved.write_bytes(content + b"\0")
    with pytest.raises(CheckpointCorrupt):
        load_checkpoint(saved)


class _Bomb:
    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, ("unpickled",)


def test_a_pickle_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bomb").write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(CheckpointCorrupt):
        load_checkpoint(tmp_path / "bomb")
    assert not (tmp_path / "unpickled").exists()


def test_one_kind_of_file_is_not_taken_for_the_other(
    checkpoint: Checkpoint, saved: Path, tmp_path: Path
) -> None:
    save_model(tmp_path / "model", checkpoint)
    with pytest.raises(CheckpointCorrupt, match="another kind of file"):
        load_checkpoint(tmp_path / "model")
    with pytest.raises(CheckpointCorrupt, match="no exported model"):
        load_model(saved)


def test_a_moved_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")
    move_whole(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"new"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "file", b"old")

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, function, fail)
            with pytest.raises(OSError, match="no space"):
                write_whole(tmp_path / "file", b"new")
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        assert (tmp_path / "file").read_bytes() == b"old"
    write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize(
    "model", sorted(name for name, entry in catalog().models.items() if entry.kinds != ("text",))
)
def test_an_exported_model_has_the_reported_accuracy_and_loss(
    model: str,
    make_recipe: MakeRecipe,
    as_kind: Callable[[str, Dataset], Dataset],
    digits: Dataset,
    tmp_path: Path,
) -> None:
    data = as_kind(model, digits)
    *_, last = train(make_recipe(model, config={"label_smoothing": 0.1}), data)
    save_model(tmp_path / "model", last.checkpoint())
    scores = evaluate(load_model(tmp_path / "model"), data, "val")
    assert scores["accuracy"] == last.metrics["val_accuracy"]
    assert scores["loss"] == pytest.approx(last.metrics["val_loss"], rel=1e-6)


def test_an_exported_model_says_how_to_rebuild_and_feed_it(
    checkpoint: Checkpoint, digits: Dataset, tmp_path: Path
) -> None:
    save_model(tmp_path / "model", checkpoint)
    about = describe_model(tmp_path / "model")
    assert about["model"] == "convnet"
    assert about["arguments"] == {
        "depth": 2,
        "width": 4,
        "growth": 2.0,
        "normalisation": "batch",
        "pooling": "max",
        "residual": False,
        "activation": "relu",
        "dropout": 0.1,
    }
    assert (about["shape"]["input_shape"], about["shape"]["classes"]) == ([1, 8, 8], 10)
    assert about["preparation"] == digits.preparation.to_json()
    assert Recipe.from_json(about["recipe"]) == checkpoint.recipe
    assert about["metrics"] == dict(checkpoint.metrics)


def test_an_exported_model_is_plain_safetensors(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_model(tmp_path / "model", checkpoint)
    with safe_open(tmp_path / "model", framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = json.loads(file.metadata()["document"])
    assert about["model"] == "convnet"
    assert weights.keys() == load_model(tmp_path / "model").state_dict().keys()


def test_a_model_forgets_its_memory_of_other_layouts(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """The same logits, whether the weights come from training or from the file."""
    save_model(tmp_path / "model", checkpoint)
    module, inputs = load_model(tmp_path / "model"), torch.rand(4, 1, 8, 8)
    twin = load_model(tmp_path / "model")
    twin.load_state_dict(checkpoint.part("model"))
    assert not module.training
    assert torch.equal(module(inputs), twin(inputs))


def test_a_probe_finds_out_the_facts(make_recipe: MakeRecipe, digits: Dataset) -> None:
    facts = probe(make_recipe("mlp"), digits)
    # 64·32 + 32 + 64 normalising, 32·32 + 32 + 64, 32·10 + 10.
    assert facts["parameters"] == 2144 + 1120 + 330
    assert facts["step_seconds"] > 0
    assert facts["steps_per_epoch"] == 1438 // 32
    assert facts["data"] == digits.fingerprint
    assert (facts["train_rows"], facts["val_rows"], facts["test_rows"]) == (1438, 359, 0)
    assert json.loads(json.dumps(facts)) == facts


def test_a_probe_changes_no_later_training(make_recipe: MakeRecipe, digits: Dataset) -> None:
    recipe = make_recipe("mlp", epochs=1)
    before = next(train(recipe, digits)).metrics["train_loss"]
    probe(recipe, digits)
    assert next(train(recipe, digits)).metrics["train_loss"] == before


def test_a_probe_refuses_labels_outside_the_loss(make_recipe: MakeRecipe, digits: Dataset) -> None:
    with pytest.raises(DataRefused, match="digits: labels run from 0 to 9; binary"):
        probe(make_recipe(loss="bce"), digits)


def test_a_probe_refuses_what_cannot_be_built(make_recipe: MakeRecipe, digits: Dataset) -> None:
    with pytest.raises(ConfigRefused, match=r"beta1 = 1\.5"):
        probe(make_recipe(config={"beta1": 1.5}), digits)


def test_tensors_of_all_kinds_are_read_back_also_by_safetensors_itself(tmp_path: Path) -> None:
    tensors = {
        "float": torch.rand(3, 4),
        "half": torch.rand(3).bfloat16(),
        "double": torch.rand(3, dtype=torch.float64),
        "complex": torch.rand(3, dtype=torch.complex64),
        "flags": torch.tensor([True, False, True]),
        "number": torch.tensor(5),
        "nothing": torch.empty(2, 0, 3),
        "turned": torch.rand(4, 3).t(),
    }
    path = tmp_path / "file"
    write_whole(path, *seal(tensors, {"fact": 1}))
    read, document = unpack(path.read_bytes())
    assert document == {"fact": 1}
    with safe_open(path, "pt") as file:
        for name, tensor in tensors.items():
            for found in (read[name], file.get_tensor(name)):
                assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
                assert torch.equal(found, tensor)
