"""NumPy's files as data sets."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.catalog import DataRefused, DataSource
from models.data.loading import Dataset, load
from models.entries import catalog
from models.exported.export import save_model
from models.exported.predict import predict
from models.recipe import Recipe
from models.training.train import train

SOURCE = DataSource(name="npz", path="a.npz")


def loaded(folder: Path, **arrays: np.ndarray) -> Dataset:
    np.savez(folder / "a.npz", **arrays)
    data = load(SOURCE, roots=(str(folder),), cache_dir=folder / "cache")
    assert catalog().data["npz"].inspect(SOURCE, (str(folder),)) == data.shape
    return data


def test_arrays_of_two_dimensions_are_a_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5))
    data = loaded(tmp_path, x=x, y=(x[:, 0] > 0).astype(np.int64))
    assert (data.shape.kind, data.shape.input_shape, data.shape.classes) == ("table", (5,), 2)
    assert data.train.rows + data.val.rows + data.split("test").rows == 200


def test_images_are_learned_and_predicted_by_the_names_of_their_classes(
    tmp_path: Path, digits: Dataset, make_recipe: Callable[..., Recipe]
) -> None:
    names = np.array([f"a{digit}" for digit in range(10)])
    images = digits.train.inputs.numpy()
    data = loaded(
        tmp_path,
        x_train=images,
        y_train=names[digits.train.labels.numpy()],
        x_test=digits.val.inputs.numpy(),
        y_test=names[digits.val.labels.numpy()],
    )
    assert (data.shape.input_shape, data.shape.test_rows) == ((1, 8, 8), 359)
    *_, last = train(make_recipe("mlp", data=SOURCE, epochs=8), data)
    assert last.metrics["val_accuracy"] > 0.9
    save_model(tmp_path / "model", last.checkpoint())
    np.save(tmp_path / "new.npy", images[:50])
    answers = predict(tmp_path / "model", tmp_path / "new.npy").values
    truth = names[digits.train.labels[:50].numpy()].tolist()
    assert sum(a == b for a, b in zip(answers, truth, strict=True)) > 40


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.full((9, 4, 4), 0.5), np.arange(9) % 2, "images in a.npz are no bytes; save pixels as"),
        (np.ones((9, 4, 4), np.uint8), np.ones(9, int), "are 1 values of int64; images have two"),
        (np.ones((9, 4, 4), np.uint8), np.linspace(0, 1, 9), "are 9 values of float64; images"),
    ],
)
def test_images_no_network_takes_are_refused(
    tmp_path: Path, x: np.ndarray, y: np.ndarray, message: str
) -> None:
    np.savez(tmp_path / "a.npz", x=x, y=y)
    with pytest.raises(DataRefused, match=message):
        catalog().data["npz"].inspect(SOURCE, (str(tmp_path),))


def test_arrays_without_a_file_say_what_to_write() -> None:
    with pytest.raises(DataRefused, match=r"npz needs a file: write data: \{npz: FILE\}."):
        catalog().data["npz"].inspect(DataSource(name="npz"), ())


NPY = DataSource(name="npy", path="X.npy", options={"labels": "y.npy"})


def test_two_files_are_data_like_one(tmp_path: Path, digits: Dataset) -> None:
    images, labels = digits.train.inputs.numpy(), digits.train.labels.numpy()
    one = loaded(tmp_path, x=images, y=labels)
    np.save(tmp_path / "X.npy", images)
    np.save(tmp_path / "y.npy", labels)
    two = load(NPY, roots=(str(tmp_path),), cache_dir=tmp_path / "cache")
    assert two.fingerprint == one.fingerprint
    assert catalog().data["npy"].inspect(NPY, (str(tmp_path),)) == two.shape


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        (None, {}, r"npy needs two files: write data: \{npy: FILE, labels: FILE\}\."),
        ("X.npy", {}, r"npy needs two files: write data: \{npy: FILE, labels: FILE\}\."),
        ("X.npy", {"labels": 3}, "npy needs two files"),
        ("X.npy", {"labels": "z.npy"}, "There is no file 'z.npy' below the data roots"),
        ("X.npy", {"labels": "../y.npy"}, "'../y.npy' lies outside the data roots"),
    ],
)
def test_two_files_are_named_and_lie_below_the_roots(
    tmp_path: Path, path: str | None, options: dict[str, object], message: str
) -> None:
    np.save(tmp_path / "X.npy", np.zeros((4, 2)))
    with pytest.raises(DataRefused, match=message):
        catalog().data["npy"].inspect(
            DataSource(name="npy", path=path, options=options), (str(tmp_path),)
        )
