"""What a spec says of NumPy's files, followed to its arrays and to their shape. Without torch."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.catalog import DataRefused, DataShape, DataSource
from models.data.arrays.reading import Array, Arrays, Examples, read_npy, read_npz
from models.data.entry import shape_of_images
from models.data.tables.files import array_files
from models.data.tables.of_arrays import TARGET, table_of
from models.data.tables.options import TableOptions
from models.data.tables.prepare import PreparedTable, prepare
from models.files import marks_of

#: The share of the training images that validates.
VALIDATION: Final = Fraction(1, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images with the codes of their classes, (N,) int64, from 0 in the order of `classes`."""

    classes: tuple[Any, ...]
    train: tuple[Array, Array]
    test: tuple[Array, Array] | None


def read(source: DataSource, roots: tuple[str, ...], split_seed: int = 0) -> PreparedTable | Images:
    """The arrays, as a prepared table or as images.

    Raises:
        DataRefused: the file is missing, damaged, or holds what no network here takes.
    """
    return _read(array_files(source, roots), split_seed)


def _read(files: tuple[Path, ...], split_seed: int) -> PreparedTable | Images:
    """An NPZ file, or two NPY files: inputs and labels."""
    arrays = read_npz(files[0]) if len(files) == 1 else read_npy(files[0], files[1])
    if arrays.kind == "image":
        return _images(files[0], files[-1], arrays)
    test_rows = len(arrays.test.labels) if arrays.test else 0
    options = TableOptions(target=TARGET)
    return prepare(table_of(arrays), options, split_seed=split_seed, test_rows=test_rows)


def _images(path: Path, labels: Path, arrays: Arrays) -> Images:
    splits = [arrays.train, *([arrays.test] if arrays.test else [])]
    if any(rows.inputs.dtype != np.uint8 for rows in splits):
        raise DataRefused(
            f"The images in {path.name} are no bytes; save pixels as whole numbers from 0 to 255."
        )
    classes = np.unique(np.concatenate([rows.labels for rows in splits]))
    if classes.dtype.kind == "f" or len(classes) < 2:
        raise DataRefused(
            f"The labels in {labels.name} are {len(classes)} values of {classes.dtype}; images "
            "have two classes or more: save them as whole numbers or texts."
        )

    def coded(rows: Examples) -> tuple[Array, Array]:
        return rows.inputs, np.searchsorted(classes, rows.labels).astype(np.int64)

    return Images(
        classes=tuple(classes.tolist()),
        train=coded(arrays.train),
        test=coded(arrays.test) if arrays.test else None,
    )


def inspect_arrays(source: DataSource, roots: tuple[str, ...]) -> DataShape:
    """The shape of the examples; all is read for it but images of bytes in an NPY file."""
    files = array_files(source, roots)
    return _shape(files, marks_of(files))


@lru_cache(maxsize=64)
def _shape(files: tuple[Path, ...], marks: Any) -> DataShape:
    """Once for each state of the files; the arrays themselves are let go."""
    found = _read(files, 0)
    if isinstance(found, PreparedTable):
        return found.shape
    inputs, codes = found.train
    test = Counter(found.test[1].tolist()) if found.test else None
    return shape_of_images(tuple(inputs.shape[1:]), Counter(codes.tolist()), VALIDATION, test)
