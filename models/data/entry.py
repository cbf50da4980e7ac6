"""The data sets' catalogue entries: what each holds, found out without torch or numpy."""

import gzip
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from models.catalog import DataEntry, DataRefused, DataShape, DataSource
from models.data.images.idx import IdxPair, find_pair
from models.data.roots import folder_below
from models.data.sklearn_files import sklearn_files
from models.data.stratified import validation_counts
from models.importing import later, load

#: Where Debian's package dataset-fashion-mnist puts its files.
DEBIAN_FASHION_MNIST: Final = Path("/usr/share/datasets/fashion-mnist")
#: Names of a folder below a data root that are looked for as well.
FASHION_MNIST_FOLDERS: Final = ("fashion-mnist", "fashion_mnist", "FashionMNIST/raw")

#: Of 1,797 digits a fifth validates; there is no test split.
DIGITS_VALIDATION: Final = Fraction(1, 5)
#: Of MNIST's 60,000 training images 10,000 validate; the 10,000 of t10k are the test split.
IDX_VALIDATION: Final = Fraction(1, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdxFolder:
    """A checked folder of IDX files."""

    train: IdxPair
    test: IdxPair | None


def digits_file() -> Path:
    """scikit-learn's file of digits, found without importing it, which takes a second.

    Raises:
        DataRefused: scikit-learn is not installed, or came without the file.
    """
    (path,) = sklearn_files(("digits.csv.gz",), who="digits come")
    return path


def inspect_digits(source: DataSource, roots: tuple[str, ...]) -> DataShape:
    """8x8 images of ten handwritten digits, 0 to 16 a pixel."""
    if source.path is not None:
        raise DataRefused(
            f"digits take no folder, but {source.path!r} was given; write data: digits."
        )
    with gzip.open(digits_file()) as file:
        labels = Counter(int(line.rpartition(b",")[2]) for line in file)
    return shape_of_images((1, 8, 8), labels, DIGITS_VALIDATION)


def inspect_idx(source: DataSource, roots: tuple[str, ...]) -> DataShape:
    """The grey images of a folder with MNIST's file names."""
    return _idx_shape(check_idx_folder(idx_folder(source, roots)))


def inspect_fashion_mnist(source: DataSource, roots: tuple[str, ...]) -> DataShape:
    """28x28 grey images of ten kinds of clothes."""
    return _idx_shape(check_idx_folder(fashion_mnist_folder(source, roots)))


def idx_folder(source: DataSource, roots: tuple[str, ...]) -> Path:
    """The user's folder, resolved.

    Raises:
        DataRefused: no folder is named, or it may not be read.
    """
    if source.path is None:
        raise DataRefused("idx needs a folder: write data: {idx: FOLDER}.")
    return folder_below(source.path, roots)


def fashion_mnist_folder(source: DataSource, roots: tuple[str, ...]) -> Path:
    """Fashion-MNIST's folder: the one named, or one below a root, or that of Debian's package.

    Raises:
        DataRefused: there is none of these.
    """
    if source.path is not None:
        return folder_below(source.path, roots)
    below_roots = (Path(root).resolve() / name for root in roots for name in FASHION_MNIST_FOLDERS)
    for folder in (*below_roots, DEBIAN_FASHION_MNIST):
        if folder.is_dir():
            return folder.resolve()
    raise DataRefused(
        f"Fashion-MNIST is not in {DEBIAN_FASHION_MNIST}: apt-get install dataset-fashion-mnist, "
        "or name its folder, data: {idx: FOLDER}."
    )


def check_idx_folder(folder: Path) -> IdxFolder:
    """The folder's files, checked.

    Raises:
        DataRefused: a file is missing or not what it says.
    """
    train, test = find_pair(folder, "train"), find_pair(folder, "t10k")
    if train is None:
        raise DataRefused(
            f"{folder} has no train-images-idx3-ubyte[.gz] and train-labels-idx1-ubyte[.gz]; "
            "name the folder that holds them."
        )
    if max(train.counts.values()) < 2:
        raise DataRefused(
            f"{folder} has {train.counts.total()} training rows and no class twice; "
            "validation needs at least two rows of a class."
        )
    if test is not None and test.images.sizes[1:] != train.images.sizes[1:]:
        raise DataRefused(
            f"In {folder} the images of train are {_side(train)} and those of t10k {_side(test)}; "
            "they must have one size."
        )
    return IdxFolder(train=train, test=test)


def _side(pair: IdxPair) -> str:
    return "x".join(map(str, pair.images.sizes[1:]))


def _idx_shape(folder: IdxFolder) -> DataShape:
    test: Mapping[int, int] = folder.test.counts if folder.test else {}
    _rows, height, width = folder.train.images.sizes
    return shape_of_images((1, height, width), folder.train.counts, IDX_VALIDATION, test)


def shape_of_images(
    input_shape: tuple[int, ...],
    counts: Counter[int],
    share: Fraction,
    test: Mapping[int, int] | None = None,
) -> DataShape:
    """The shape of images of which so many are of each class, and a share of each validates."""
    labels = counts.keys() | (test or {}).keys()
    validates = validation_counts(counts, share)
    val_rows = sum(validates.values())
    return DataShape(
        input_shape=input_shape,
        classes=len(labels),
        train_rows=counts.total() - val_rows,
        val_rows=val_rows,
        test_rows=sum((test or {}).values()),
        labels=(min(labels), max(labels)),
        class_rows=tuple(counts[label] - validates.get(label, 0) for label in sorted(labels)),
    )


def inspect_python(source: DataSource, roots: tuple[str, ...]) -> DataShape:
    """What a function gives, which imports it; only to be asked where its code may run."""
    if source.path is None:
        raise DataRefused("python needs a function: write data: mypkg.data:make.")
    shape: DataShape = load("models.data.tensors.made:inspect")(source, roots)
    return shape


DIGITS: Final = DataEntry(
    name="digits",
    summary="1,797 handwritten digits of 8x8 pixels; bundled with scikit-learn.",
    source="UCI ML repository, Optical Recognition of Handwritten Digits",
    inspect=inspect_digits,
)

IDX: Final = DataEntry(
    name="idx",
    summary="A folder of IDX files with MNIST's names: data: {idx: FOLDER}.",
    source="LeCun, Cortes and Burges, the MNIST database",
    inspect=inspect_idx,
    needs_path=True,
)

FASHION_MNIST: Final = DataEntry(
    name="fashion_mnist",
    summary="70,000 images of clothes, 28x28; Debian's package dataset-fashion-mnist.",
    source="arXiv:1708.07747",
    inspect=inspect_fashion_mnist,
)

PYTHON: Final = DataEntry(
    name="python",
    summary="What a function of one's own gives: data: mypkg.data:make, or with arguments "
    "data: {python: mypkg.data:make, n: 1000}.",
    source="the function",
    inspect=inspect_python,
    explain=later("models.data.tensors.made:explain"),
    needs_path=True,
    takes_any=True,
)
