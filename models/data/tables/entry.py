"""Tables', series' and arrays' entries. What reads them needs NumPy, and is imported when used."""

from collections.abc import Mapping
from typing import Final

from models.catalog import DataEntry
from models.importing import later

#: What may be said of a table in a file.
OPTIONS: Final = (
    "target", "group", "time", "series", "ignore", "categories", "scaling", "task", "test",
    "validation",
)  # fmt: skip
#: scikit-learn's tables by name, the target of each being the column ``target``.
BUNDLED: Final[Mapping[str, tuple[str, str]]] = {
    "breast_cancer": (
        "569 tumours, benign or malignant, by 30 measures; bundled with scikit-learn.",
        "UCI ML repository, Breast Cancer Wisconsin (Diagnostic)",
    ),
    "wine": (
        "178 wines of three growers by 13 chemical measures; bundled with scikit-learn.",
        "UCI ML repository, Wine",
    ),
    "iris": (
        "150 irises of three species by four measures; bundled with scikit-learn.",
        "Fisher, Annals of Eugenics 1936",
    ),
    "diabetes": (
        "442 patients by ten measures, and a number to predict; bundled with scikit-learn.",
        "Efron, Hastie, Johnstone and Tibshirani, Annals of Statistics 2004",
    ),
}


def _entry(name: str, summary: str, source: str, *, bundled: bool) -> DataEntry:
    return DataEntry(
        name=name,
        summary=summary,
        source=source,
        inspect=later("models.data.tables.source:inspect_table"),
        explain=later("models.data.tables.source:explain_table"),
        options=("scaling", "test", "validation") if bundled else OPTIONS,
        needs_path=not bundled,
    )


NPZ: Final = DataEntry(
    name="npz",
    summary="NumPy arrays x and y, a table or images, perhaps x_train …: data: {npz: FILE}.",
    source="numpy.savez",
    inspect=later("models.data.arrays.source:inspect_arrays"),
    needs_path=True,
)
TS: Final = DataEntry(
    name="ts",
    summary="A .ts file of series, and X_TEST.ts beside X_TRAIN.ts: data: {ts: FILE}.",
    source="arXiv:1811.00075, and the archives' file format",
    inspect=later("models.data.tables.source:inspect_table"),
    explain=later("models.data.tables.source:explain_table"),
    options=("test", "validation"),
    needs_path=True,
)
NPY: Final = DataEntry(
    name="npy",
    summary="Two NumPy arrays, inputs and labels: data: {npy: FILE, labels: FILE}.",
    source="numpy.save",
    inspect=later("models.data.arrays.source:inspect_arrays"),
    options=("labels",),
    needs_path=True,
)
TABLES: Final = (
    _entry(
        "csv",
        "A CSV file with a line of names: data: {csv: FILE, target: COLUMN}.",
        "RFC 4180, and what people call so",
        bundled=False,
    ),
    _entry(
        "parquet",
        "A Parquet file: data: {parquet: FILE, target: COLUMN}.",
        "Apache Parquet",
        bundled=False,
    ),
    *(_entry(name, *about, bundled=True) for name, about in BUNDLED.items()),
)
