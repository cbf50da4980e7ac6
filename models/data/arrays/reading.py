"""NumPy's files as data: a table of numbers or images, with labels. Nothing is ever unpickled."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from zipfile import BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

from models.catalog import DataRefused
from models.memory import available_memory

Array = npt.NDArray[Any]

#: Names of inputs and labels, looked for in this order.
KEYS: Final = (
    ("x", "y"),
    ("X", "y"),
    ("inputs", "labels"),
    ("data", "target"),
    ("images", "labels"),
)
#: What is added to both for a split that the file has already made.
_SUFFIXES: Final = ("", "_train")
#: Numbers of channels by which one tells the axis of an image's colours.
_CHANNELS: Final = frozenset({1, 3, 4})
_BYTES_PER_BYTE: Final = 3
#: What an NPY file begins with.
_NPY: Final = b"\x93NUMPY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Examples and their labels (N,), which are as they were in the file.

    Inputs are (N, F) float64, or (N, C, H, W), uint8 where they were whole and within a byte,
    float32 otherwise.
    """

    inputs: Array
    labels: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrays:
    """What a file holds; `test` is None where it has no split of its own."""

    kind: Literal["table", "image"]
    train: Examples
    test: Examples | None


def read_npz(path: Path, *, available_bytes: int | None = None) -> Arrays:
    """The arrays of an NPZ file: ``x`` and ``y``, or a pair of `KEYS`, each also with ``_train``
    and ``_test``.

    Raises:
        DataRefused: the file is missing, damaged or too large, holds Python objects, or its
            arrays do not fit one another.
    """
    _check_memory(path.name, _size_of_npz(path) * _BYTES_PER_BYTE, available_bytes)
    with _complaining(path), np.load(path, allow_pickle=False) as file:
        first, second, made = _keys(path, file.files)
        train = _members(path, file, first, second)
        test = None
        if made and first.replace("_train", "_test") in file.files:
            pair = (name.replace("_train", "_test") for name in (first, second))
            test = _members(path, file, *pair)
    if test is not None and test.inputs.shape[1:] != train.inputs.shape[1:]:
        raise DataRefused(
            f"In {path.name} an example of {first} is {_size(train)} and one of the test split "
            f"{_size(test)}; they must have one shape."
        )
    return Arrays(kind=_kind(train), train=train, test=test)


def read_npy(inputs: Path, labels: Path, *, available_bytes: int | None = None) -> Arrays:
    """The arrays of two NPY files. Images of bytes stay in the file, of which what is used is read.

    Raises:
        DataRefused: one is missing, damaged or too large, holds Python objects, or they do not
            fit one another.
    """
    first, second = _mapped(inputs), _mapped(labels)
    factor = 1 if first.dtype == np.uint8 and first.ndim > 2 else _BYTES_PER_BYTE
    _check_memory(inputs.name, first.nbytes * factor + second.nbytes, available_bytes)
    train = examples_of(inputs.name, first, labels.name, second)
    return Arrays(kind=_kind(train), train=train, test=None)


def _mapped(path: Path) -> Array:
    """The array in the file, of which nothing is read yet; changes stay in memory."""
    with path.open("rb") as file:
        begin = file.read(len(_NPY))
    if begin != _NPY:
        raise DataRefused(f"{path.name} is not an NPY file; save the array with numpy.save.")
    with _complaining(path):
        array: Array = np.load(path, mmap_mode="c", allow_pickle=False)
    return array


@contextmanager
def _complaining(path: Path) -> Iterator[None]:
    """Around what reads the file."""
    try:
        yield
    except (ValueError, EOFError, BadZipFile) as error:
        if "Object arrays" in str(error) or "Python objects" in str(error):
            raise DataRefused(
                f"{path.name} holds Python objects, which are not read since they could run code; "
                "save arrays of numbers or texts."
            ) from error
        raise DataRefused(f"{path.name} is damaged: {error}; write the file anew.") from error


def _kind(rows: Examples) -> Literal["table", "image"]:
    return "table" if rows.inputs.ndim == 2 else "image"


def _size(rows: Examples) -> str:
    return "x".join(map(str, rows.inputs.shape[1:]))


def _size_of_npz(path: Path) -> int:
    """Bytes of all arrays in the file."""
    if not path.is_file():
        raise DataRefused(f"There is no file {path.name}; check its name.")
    try:
        with ZipFile(path) as archive:
            return sum(member.file_size for member in archive.infolist())
    except BadZipFile as error:
        raise DataRefused(
            f"{path.name} is not an NPZ file: {error}; save the arrays with numpy.savez."
        ) from error


def _check_memory(name: str, needed: int, available_bytes: int | None) -> None:
    available = available_memory() if available_bytes is None else available_bytes
    if needed > available:
        raise DataRefused(
            f"{name} takes {needed / 1e6:.1f} MB of memory; "
            f"{available / 1e6:.1f} MB are free: take fewer rows."
        )


def _keys(path: Path, names: Collection[str]) -> tuple[str, str, bool]:
    """The names of inputs and labels, and whether they are those of a training split."""
    for suffix in _SUFFIXES:
        for first, second in KEYS:
            pair = first + suffix, second + suffix
            if {*pair} <= {*names}:
                return *pair, bool(suffix)
    there = ", ".join(map(repr, sorted(names))) or "none"
    raise DataRefused(
        f"{path.name} has the arrays {there}; name the inputs 'x' and the labels 'y', "
        "or x_train, y_train, x_test and y_test."
    )


def _members(path: Path, file: Any, first: str, second: str) -> Examples:
    if second not in file.files:
        raise DataRefused(f"{path.name} has {first!r} without {second!r}; add the labels.")
    names = [f"{name!r} in {path.name}" for name in (first, second)]
    return examples_of(names[0], file[first], names[1], file[second])


def examples_of(first: str, inputs: Array, second: str, labels: Array) -> Examples:
    """The arrays called `first` and `second` in messages."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataRefused(
            f"{second} has shape {labels.shape}; labels are one value an example: "
            "of one-hot rows take argmax(axis=1)."
        )
    if not inputs.size:
        raise DataRefused(f"{first} has shape {inputs.shape}: it holds no value.")
    if len(labels) != len(inputs):
        raise DataRefused(
            f"{first} has {len(inputs)} examples and {second} {len(labels)} labels; "
            "they must be equally many."
        )
    return Examples(inputs=_inputs(first, inputs), labels=labels)


def _inputs(name: str, inputs: Array) -> Array:
    if inputs.dtype.kind not in "biuf":
        raise DataRefused(
            f"{name} holds {inputs.dtype}, which are no numbers; save a table "
            "with texts as CSV or Parquet."
        )
    if inputs.ndim == 2:
        return inputs.astype(np.float64)
    if inputs.ndim not in (3, 4):
        raise DataRefused(
            f"{name} has shape {inputs.shape}; inputs are (N, columns), "
            "(N, height, width) or (N, channels, height, width)."
        )
    return _pixels(name, _channels_first(inputs))


def _channels_first(images: Array) -> Array:
    """Images (N, C, H, W); the last axis is taken for that of colours where only it can be."""
    if images.ndim == 3:
        return images[:, None]
    if images.shape[3] in _CHANNELS and images.shape[1] not in _CHANNELS:
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return images


def _pixels(name: str, images: Array) -> Array:
    if images.dtype.kind == "f":
        if not np.isfinite(images).all():
            example = int(np.argwhere(~np.isfinite(images))[0, 0]) + 1
            raise DataRefused(
                f"Image {example} of {name} has a pixel that is no number; correct it."
            )
        return images.astype(np.float32)
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind == "b" or (images.min() >= 0 and images.max() <= 255):
        return images.astype(np.uint8)
    return images.astype(np.float32)
