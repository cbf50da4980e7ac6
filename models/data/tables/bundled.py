"""scikit-learn's small tables, read from its files without importing it."""

import gzip
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import csv as pacsv

from models.data.tables.files import bundled_files

TARGET: Final = "target"
_IRIS: Final = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
_WINE: Final = (
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280/od315_of_diluted_wines",
    "proline",
)
_CELL: Final = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
_BREAST_CANCER: Final = (
    *(f"mean {name}" for name in _CELL),
    *(f"{name} error" for name in _CELL),
    *(f"worst {name}" for name in _CELL),
)
_DIABETES: Final = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def bundled_table(name: str) -> pa.Table:
    """The table called `name`, one of `BUNDLED`; the column to predict is ``target``.

    Raises:
        DataRefused: scikit-learn is not installed, or came without its files.
        KeyError: there is no such table.
    """
    return BUNDLED[name](*bundled_files(name))


def _labelled(names: tuple[str, ...]) -> Callable[[Path], pa.Table]:
    """Reads a file whose first line is: rows, columns, the classes' names; the label comes last."""

    def read(path: Path) -> pa.Table:
        begin, _, rows = path.read_bytes().partition(b"\n")
        labels = pa.array(begin.decode().strip().split(",")[2:])
        table = _numbers(rows, (*names, TARGET), ",")
        return table.set_column(len(names), TARGET, labels.take(table[TARGET].combine_chunks()))

    return read


def _diabetes(data: Path, target: Path) -> pa.Table:
    """Its sex is the code 1 or 2; the target is the disease's progression after a year."""
    table = _numbers(gzip.decompress(data.read_bytes()), _DIABETES, " ")
    progression = _numbers(gzip.decompress(target.read_bytes()), (TARGET,), " ")
    return table.append_column(TARGET, progression[TARGET])


def _numbers(text: bytes, names: tuple[str, ...], delimiter: str) -> pa.Table:
    return pacsv.read_csv(
        BytesIO(text),
        read_options=pacsv.ReadOptions(column_names=names),
        parse_options=pacsv.ParseOptions(delimiter=delimiter),
    )


#: The reader of each table's files.
BUNDLED: Final[Mapping[str, Callable[..., pa.Table]]] = {
    "breast_cancer": _labelled(_BREAST_CANCER),
    "wine": _labelled(_WINE),
    "iris": _labelled(_IRIS),
    "diabetes": _diabetes,
}
