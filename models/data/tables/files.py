"""Which files tables, series and arrays are read from. Light: all workers ask, few of them read."""

from collections.abc import Mapping
from os.path import lexists
from pathlib import Path
from typing import Final

from models.catalog import DataRefused, DataSource
from models.data.roots import file_below
from models.data.sklearn_files import sklearn_files

#: scikit-learn's files of its tables.
BUNDLED_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "breast_cancer": ("breast_cancer.csv",),
    "wine": ("wine_data.csv",),
    "iris": ("iris.csv",),
    "diabetes": ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"),
}


def table_files(source: DataSource, roots: tuple[str, ...]) -> tuple[Path, ...]:
    """The files a table is read from.

    Raises:
        DataRefused: one is missing, or may not be read.
    """
    if source.name in BUNDLED_FILES:
        return bundled_files(source.name)
    if source.path is None:
        raise DataRefused(
            f"{source.name} needs a file and the column to predict: "
            f"write data: {{{source.name}: FILE, target: COLUMN}}."
        )
    return (file_below(source.path, roots),)


def array_files(source: DataSource, roots: tuple[str, ...]) -> tuple[Path, ...]:
    """The NPZ file, or the NPY files of inputs and labels.

    Raises:
        DataRefused: one is not named, or may not be read.
    """
    if source.name == "npz":
        if source.path is None:
            raise DataRefused("npz needs a file: write data: {npz: FILE}.")
        return (file_below(source.path, roots),)
    labels = source.options.get("labels")
    if source.path is None or not isinstance(labels, str):
        raise DataRefused("npy needs two files: write data: {npy: FILE, labels: FILE}.")
    return file_below(source.path, roots), file_below(labels, roots)


def ts_files(source: DataSource, roots: tuple[str, ...]) -> tuple[Path, ...]:
    """The .ts file, and after it its test split, if beside X_TRAIN.ts there is X_TEST.ts.

    Raises:
        DataRefused: none is named, or one may not be read.
    """
    if source.path is None:
        raise DataRefused("ts needs a file: write data: {ts: FILE}.")
    train = file_below(source.path, roots)
    test = train.with_name(train.name.replace("_TRAIN.", "_TEST."))
    if test == train or not lexists(test):
        return (train,)
    return train, file_below(str(test), roots)


def bundled_files(name: str) -> tuple[Path, ...]:
    """The files behind a table of `BUNDLED_FILES`.

    Raises:
        DataRefused: scikit-learn is not installed, or came without them.
    """
    return sklearn_files(BUNDLED_FILES[name], who=f"{name} comes")
