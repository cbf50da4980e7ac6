"""Data of a function of one's own: its kind, its division, and what is refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.catalog import DataRefused, DataShape, DataSource
from models.data.entry import PYTHON
from models.data.loading import load
from models.data.tensors import gathering
from models.data.tensors.made import explain, inspect
from models.exported.export import save_model
from models.exported.predict import predict
from models.exported.predictor import read_predictor
from models.recipe import Recipe
from models.training.train import train

CODE = """
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, random_split

CALLS = []


def listed(columns):
    return torch.randn(40, len(columns)), labels(40)


def labels(n, classes=2):
    return torch.arange(n) % classes


def table(n=40, columns=3):
    CALLS.append(n)
    x = torch.randn(n, columns)
    return x, (x[:, 0] > 0).long()


def numbers(n=40):
    x = np.random.default_rng(0).normal(size=(n, 3))
    return x, x.sum(1), x[:8], x[:8].sum(1)


def images(n=40, kind="bytes"):
    x = torch.randint(0, 256, (n, 3, 4, 4), dtype=torch.uint8)
    return TensorDataset(x if kind == "bytes" else x / 255, labels(n))


def grey():
    return np.zeros((40, 4, 4), dtype=np.uint8), np.arange(40) % 2


def series(n=40):
    x = torch.randn(n, 2, 12)
    return x, labels(n, 4)


def divided():
    whole = images(50)
    train, rest = random_split(whole, [30, 20])
    return DataLoader(train, batch_size=7), DataLoader(rest)


def with_test():
    return images(30), images(10), images(8)


def pairs():
    return table(30), table(10)


class Listed(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Streamed(IterableDataset):
    def __iter__(self):
        yield from ((torch.full((3,), float(i)), i % 2) for i in range(20))


def streamed():
    return Streamed()


def texts():
    return Listed([(np.arange(3.0) + i, "ab"[i % 2]) for i in range(20)])


def uneven():
    return Listed([(torch.zeros(3), 0), (torch.zeros(4), 1)])


def empty():
    return Listed([])


def alone():
    return Listed([torch.zeros(3)])


def unequal():
    return torch.zeros(4, 3), torch.zeros(5)


def one_hot():
    return torch.zeros(4, 3), torch.zeros(4, 2)


def nan_label():
    return torch.randn(4, 3), torch.tensor([0.0, 1.0, float("nan"), 2.0])


def deep():
    return torch.zeros(4, 1, 2, 3, 4), labels(4)


def one_class():
    return torch.zeros(10, 1, 4, 4), torch.zeros(10, dtype=torch.long)


def strange_class():
    return torch.randn(10, 3), labels(10), torch.randn(3, 3), torch.tensor([0, 1, 7])


def other_kind():
    return torch.randn(10, 3), labels(10), torch.randn(3, 3), torch.randn(3)


def other_shape():
    return torch.randn(10, 3), labels(10), torch.randn(3, 4), labels(3)


def measured_images(n=40):
    x = torch.rand(n, 1, 4, 4)
    return x, 100 + 20 * x.mean((1, 2, 3))


def one_number():
    return torch.rand(10, 1, 4, 4), torch.ones(10)


def nothing():
    return None


def raising():
    raise OSError("no such file")


constant = 3
"""


@pytest.fixture(autouse=True)
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owndata.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "owndata", raising=False)


def source(name: str, **options: Any) -> DataSource:
    return DataSource(name="python", path=f"owndata:{name}", options=options)


def shape(name: str, **options: Any) -> DataShape:
    return inspect(source(name, **options), ())


def facts(found: DataShape) -> tuple[Any, ...]:
    rows = found.train_rows, found.val_rows, found.test_rows
    return found.kind, found.input_shape, found.classes, rows


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("table", ("table", (3,), 2, (32, 8, 0))),
        ("numbers", ("table", (3,), 0, (40, 8, 0))),
        ("images", ("image", (3, 4, 4), 2, (32, 8, 0))),
        ("measured_images", ("image", (1, 4, 4), 0, (32, 8, 0))),
        ("grey", ("image", (1, 4, 4), 2, (32, 8, 0))),
        ("series", ("series", (2, 12), 4, (32, 8, 0))),
        ("divided", ("image", (3, 4, 4), 2, (30, 20, 0))),
        ("with_test", ("image", (3, 4, 4), 2, (30, 10, 8))),
        ("pairs", ("table", (3,), 2, (30, 10, 0))),
        ("streamed", ("table", (3,), 2, (16, 4, 0))),
        ("texts", ("table", (3,), 2, (16, 4, 0))),
    ],
)
def test_kind_and_division_follow_from_what_is_given(name: str, expected: tuple[Any, ...]) -> None:
    assert facts(shape(name)) == expected


def test_arguments_may_be_lists() -> None:
    assert shape("listed", columns=["a", "b"]).input_shape == (2,)


def test_what_was_made_of_it_is_said() -> None:
    assert explain(source("divided"), ()) == (
        "owndata:divided gives 30 training, 20 validation examples, taken for images, 3 x 4 x 4 "
        "each; the target is 2 classes.",
        "Of a DataLoader its data set is taken; batches and their order are the service's own.",
    )


def test_rows_that_validate_by_themselves_are_not_exchanged() -> None:
    assert not shape("pairs").exchangeable
    assert shape("table").exchangeable


def test_images_of_floats_keep_their_scale_and_are_normalised(tmp_path: Path) -> None:
    data = load(source("images", kind="floats"), cache_dir=tmp_path)
    assert data.train.inputs.dtype is torch.float32
    assert float(data.train.inputs.max()) <= 1.0
    before = data.train.inputs.clone()
    rows = data.prepared(data.train.inputs)
    assert torch.equal(before, data.train.inputs)  # other processes share them
    torch.testing.assert_close(rows.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    of_bytes = load(source("images"), cache_dir=tmp_path)
    torch.testing.assert_close(rows, of_bytes.prepared(of_bytes.train.inputs), atol=1e-5, rtol=1e-5)


def test_images_may_have_numbers_which_are_answered_in_their_own_unit(tmp_path: Path) -> None:
    data = load(source("measured_images", n=400), cache_dir=tmp_path)
    assert data.train.labels.dtype is torch.float32
    assert abs(float(data.train.labels.mean())) < 1e-4
    recipe = Recipe(
        model="mlp", loss="mse", optimizer="adamw", data=source("measured_images"), epochs=12,
        seed=0, config={"depth": 1, "width": 32, "lr": 0.01, "batch_size": 32},
    )  # fmt: skip
    *_, epoch = train(recipe, data)
    assert epoch.metrics["val_r2"] > 0.8
    save_model(tmp_path / "model", epoch.checkpoint())
    images = np.stack([np.full((1, 4, 4), level) for level in (0.4, 0.6)])
    np.save(tmp_path / "new.npy", images)
    answers = predict(tmp_path / "model", tmp_path / "new.npy")
    assert answers.values == pytest.approx([108.0, 112.0], abs=1.5)
    predictor, _ = read_predictor(tmp_path / "model")
    with torch.inference_mode():
        found = predictor(torch.from_numpy(images).float())
    assert found.tolist() == pytest.approx(answers.values, rel=1e-4)


def test_it_is_called_once_for_all_who_load_it_and_again_where_it_should_be_other_data(
    tmp_path: Path,
) -> None:
    digest = shape("table", n=60).digest
    pinned = DataSource(name="python", path="owndata:table", options={"n": 60}, digest=digest)
    first = load(pinned, cache_dir=tmp_path)
    assert first.fingerprint == digest
    calls = sys.modules["owndata"].CALLS
    made = len(calls)
    assert torch.equal(load(pinned, cache_dir=tmp_path).train.inputs, first.train.inputs)
    assert len(calls) == made
    other = DataSource(name="python", path="owndata:table", options={"n": 60}, digest="0" * 64)
    with pytest.raises(DataRefused, match="gave other data than when the job was submitted"):
        load(other, cache_dir=tmp_path)


def test_numbers_drawn_while_it_is_called_are_the_same_and_leave_others_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    digests = {gathering.gathered("owndata:table", {}).splits[0][0].tobytes() for _ in range(2)}
    assert len(digests) == 1
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("uneven", r"example 1 is of shape \(4,\), and example 0 of \(3,\); bring all to one"),
        ("empty", "training data: it is empty; give one example at least"),
        ("alone", "example 0 is a Tensor; an example is a pair of an input and a label"),
        ("unequal", "4 examples and 5 labels; there must be as many of both"),
        ("one_hot", r"labels are float32 of shape \(4, 2\); a label is one class"),
        ("nan_label", "the label of example 2 is nan; correct it"),
        ("deep", r"an example is of shape \(1, 2, 3, 4\); it is \(columns,\)"),
        ("one_class", "all images are of class 0; a class is learned beside another"),
        ("strange_class", "class 7 of validation is that of no training example"),
        ("other_kind", "labels are int64 in training and float32 in validation"),
        ("other_shape", r"validation examples are of shape \(4,\), and those that train of \(3,\)"),
        ("one_number", "all training images have one number, so that there is nothing to learn"),
        ("nothing", "owndata:nothing gave a NoneType, which is no data: give a torch Dataset"),
        ("raising", "owndata:raising called with no arguments raised OSError: no such file"),
        ("constant", "owndata:constant is a int; name a function that gives data"),
    ],
)
def test_what_is_no_data_is_refused_with_its_remedy(name: str, complaint: str) -> None:
    with pytest.raises(DataRefused, match=complaint):
        inspect(source(name), ())


def test_arguments_it_does_not_take_are_refused() -> None:
    with pytest.raises(DataRefused, match=r"called with m = 3 raised TypeError: .*'m'"):
        inspect(source("table", m=3), ())


def test_what_does_not_fit_in_memory_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gathering, "available_memory", lambda: 200)
    with pytest.raises(DataRefused, match="20 examples of 24 bytes do not fit in memory"):
        inspect(source("texts"), ())
    with pytest.raises(DataRefused, match="training data: 6 examples of 12 bytes do not fit"):
        inspect(source("streamed"), ())


def test_without_a_function_nothing_is_imported() -> None:
    with pytest.raises(DataRefused, match=r"python needs a function: write data: mypkg.data:make"):
        PYTHON.inspect(DataSource(name="python"), ())


def test_arrays_are_taken_as_they_are() -> None:
    (inputs, labels), *rest = gathering.gathered("owndata:grey", {}).splits
    assert (inputs.dtype, inputs.shape, rest) == (np.uint8, (40, 4, 4), [])
    assert labels.tolist() == [0, 1] * 20
