"""Real data and small recipes for the tests of `models`."""

import gzip
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
import torch

from models.catalog import DataSource
from models.data.loading import Dataset, Split, load
from models.data.preparation import RowPreparation
from models.entries import catalog
from models.recipe import Recipe

#: Small enough that a training of them takes tens of milliseconds.
SMALL = {
    "convnet": {"depth": 2, "width": 4, "batch_size": 32},
    "resnet": {"depth": 1, "width": 4, "stages": 2, "batch_size": 32},
    "vit": {"depth": 2, "width": 32, "heads": 2, "patch": 4, "batch_size": 32},
    "mlp": {"depth": 2, "width": 32, "batch_size": 32},
    "transformer": {"depth": 1, "width": 32, "heads": 2, "patch": 2, "batch_size": 32},
    "tcn": {"depth": 2, "width": 16, "kernel": 3, "patch": 1, "batch_size": 32},
    "gru": {"depth": 2, "width": 16, "patch": 2, "batch_size": 32},
    "char_lm": {"depth": 1, "width": 32, "heads": 2, "batch_size": 16},
}

WriteIdx = Callable[..., Path]
MakeRecipe = Callable[..., Recipe]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def digits(cache_dir: Path) -> Dataset:
    return load("digits", cache_dir=cache_dir)


@pytest.fixture(scope="session")
def python_help(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """12,000 characters of Python's own help, in windows of 32."""
    root = tmp_path_factory.mktemp("texts")
    (root / "help.txt").write_text("\n".join(topics[key] for key in sorted(topics))[:12_000])
    return load(
        DataSource(name="text", path="help.txt", options={"context": 32}),
        roots=(str(root),),
        cache_dir=root / "cache",
    )


AsKind = Callable[[str, Dataset], Dataset]


@pytest.fixture(scope="session")
def as_kind(python_help: Dataset) -> AsKind:
    """Images as a model takes them: as they are, or as series; for one of texts, as many windows
    of a text, if there are."""

    def convert(model: str, images: Dataset) -> Dataset:
        kinds = catalog().models[model].kinds
        if kinds == ("text",):
            return replace(
                python_help,
                train=first(python_help.train, images.train.rows),
                val=first(python_help.val, images.val.rows),
            )
        return images if "image" in kinds else as_series(images)

    return convert


def first(split: Split, rows: int) -> Split:
    """The first rows."""
    return Split(inputs=split.inputs[:rows], labels=split.labels[:rows])


def as_series(images: Dataset) -> Dataset:
    """Digits as series: a row is a channel, and goes from left to right in 8 steps."""
    pixels = images.train.inputs[:, 0].float()

    def rows(split: Split) -> Split:
        # Standardised together: the rows at the edge are nearly blank.
        inputs = (split.inputs[:, 0].float() - pixels.mean()) / pixels.std()
        return replace(split, inputs=inputs)

    return replace(
        images,
        shape=replace(images.shape, kind="series", input_shape=(8, 8)),
        train=rows(images.train),
        val=rows(images.val),
        test=rows(images.test) if images.test else None,
        preparation=RowPreparation(document={}, unit=images.preparation.unit),
    )


@pytest.fixture(scope="session")
def write_idx() -> WriteIdx:
    """Write one IDX file; what it says of itself can be made wrong."""

    def write(
        path: Path,
        data: bytes,
        sizes: tuple[int, ...],
        *,
        magic: bytes | None = None,
        cut: int = 0,
    ) -> Path:
        begin = magic or bytes((0, 0, 8, len(sizes)))
        content = begin + struct.pack(f">{len(sizes)}I", *sizes) + data
        packed = gzip.compress(content) if path.suffix == ".gz" else content
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed[: len(packed) - cut])
        return path

    return write


@pytest.fixture(scope="session")
def write_pair(write_idx: WriteIdx) -> Callable[..., None]:
    """Write images and labels under MNIST's names."""

    def write(folder: Path, prefix: str, images: Any, labels: Any, suffix: str = ".gz") -> None:
        rows, _channels, height, width = images.shape
        sizes = (rows, height, width)
        write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", images.numpy().tobytes(), sizes)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", bytes(labels.tolist()), (rows,))

    return write


@pytest.fixture(scope="session")
def digits_folder(
    tmp_path_factory: pytest.TempPathFactory, digits: Dataset, write_pair: Callable[..., None]
) -> Path:
    """The digits as IDX files: 1,438 to train with, 359 as t10k."""
    folder = tmp_path_factory.mktemp("roots") / "digits-idx"
    write_pair(folder, "train", digits.train.inputs, digits.train.labels)
    write_pair(folder, "t10k", digits.val.inputs, digits.val.labels)
    return folder


@pytest.fixture(scope="session")
def odd_or_even(
    tmp_path_factory: pytest.TempPathFactory,
    cache_dir: Path,
    digits: Dataset,
    write_pair: Callable[..., None],
) -> Dataset:
    """Is the digit odd? Two classes, 1,438 real images."""
    folder = tmp_path_factory.mktemp("roots") / "parity"
    write_pair(folder, "train", digits.train.inputs, digits.train.labels % 2)
    return load(
        DataSource(name="idx", path="parity"), roots=(str(folder.parent),), cache_dir=cache_dir
    )


@pytest.fixture(scope="session")
def ink(digits: Dataset) -> Dataset:
    """How much ink is on the image? A number, standardised."""
    amounts = _ink(digits.train)
    mean, std = amounts.mean(), amounts.std()
    return _of_numbers(digits, lambda split: (_ink(split) - mean) / std)


@pytest.fixture(scope="session")
def ink_counts(digits: Dataset) -> Dataset:
    """How many pixels' worth of ink, by the dozen? Counts from 2 to 7 or so."""
    return _of_numbers(digits, lambda split: (_ink(split) / 64).round())


def _ink(split: Split) -> torch.Tensor:
    return split.inputs.flatten(1).float().sum(1)


def _of_numbers(digits: Dataset, target: Callable[[Split], torch.Tensor]) -> Dataset:
    return replace(
        digits,
        name="ink",
        shape=replace(digits.shape, classes=0, labels=(0, 0)),
        train=replace(digits.train, labels=target(digits.train)),
        val=replace(digits.val, labels=target(digits.val)),
    )


@pytest.fixture(scope="session")
def make_recipe() -> MakeRecipe:
    """A recipe of a small network, with what the test cares about put in."""

    def make(model: str = "mlp", *, config: dict[str, Any] | None = None, **changes: Any) -> Recipe:
        values: dict[str, Any] = {
            "model": model,
            "loss": "cross_entropy",
            "optimizer": "adamw",
            "data": DataSource(name="digits"),
            "config": SMALL[model] | (config or {}),
            "epochs": 3,
            "seed": 0,
        }
        return Recipe(**values | changes)

    return make
