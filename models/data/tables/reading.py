"""Files of tables: which kind one is, what it would take in memory, and its rows."""

from collections.abc import Collection
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
from pyarrow import parquet

from models.catalog import DataRefused
from models.data.tables.csv_file import dialect_of, read_csv
from models.memory import available_memory

#: Of a value, at the worst moment: 30 were measured from CSV to inputs, 22 from Parquet.
BYTES_PER_VALUE: Final = 32
#: Texts are held as they are read and without the blanks around them.
COPIES_OF_TEXT: Final = 2
_CSV_SUFFIXES: Final = (".csv", ".tsv", ".txt")
_PARQUET_SUFFIXES: Final = (".parquet", ".pq")
_PARQUET: Final = b"PAR1"
#: How files begin that are sometimes taken for tables.
_OTHERS: Final = (
    (b"PK\x03\x04", "a zip archive or an Excel sheet"),
    (b"\xd0\xcf\x11\xe0", "an Excel sheet"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite", "a SQLite database"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"ARROW1", "an Arrow file"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
)


def column_names(path: Path) -> tuple[str, ...]:
    """The columns' names, from the file's beginning or end alone.

    Raises:
        DataRefused: the file is not there, or neither CSV nor Parquet.
    """
    if _format_of(path) == "csv":
        return dialect_of(path).names
    return tuple(_parquet_file(path).schema_arrow.names)


def read_table(
    path: Path,
    *,
    leave_out: Collection[str] = (),
    text: Collection[str] = (),
    available_bytes: int | None = None,
) -> pa.Table:
    """All rows, without the columns of `leave_out`; those of `text` are read as text.

    `available_bytes` is what memory it may take; where None, what this process may still have.

    Raises:
        DataRefused: the file is missing, empty, too large, or not what it says.
    """
    names = [name for name in column_names(path) if name not in leave_out]
    if _format_of(path) == "csv":
        dialect = dialect_of(path)
        size = unpacked_bytes(path)
        rows = int(size / max(1.0, dialect.row_bytes))
        _check_memory(path, rows, len(names), size, available_bytes)
        table = read_csv(path, dialect, columns=names, text={*text} & {*names})
    else:
        file = _parquet_file(path)
        about = file.metadata
        size = sum(about.row_group(g).total_byte_size for g in range(about.num_row_groups))
        _check_memory(path, about.num_rows, len(names), size, available_bytes)
        table = file.read(columns=names)
    if not table.num_rows:
        raise DataRefused(f"{path.name} names columns and holds no rows; add rows.")
    return table


def _format_of(path: Path) -> Literal["csv", "parquet"]:
    if not path.is_file():
        raise DataRefused(f"There is no file {path.name}; check its name.")
    with path.open("rb") as file:
        begin = file.read(8)
    if not begin:
        raise DataRefused(f"{path.name} is empty; it needs a line of column names and rows.")
    called_csv = any(suffix in _CSV_SUFFIXES for suffix in path.suffixes)
    if begin.startswith(_PARQUET):
        if called_csv:
            raise DataRefused(f"{path.name} is a Parquet file; give it a name in .parquet.")
        return "parquet"
    for mark, what in _OTHERS:
        if begin.startswith(mark):
            raise DataRefused(f"{path.name} is {what}; save the table as CSV or Parquet.")
    if path.suffix in _PARQUET_SUFFIXES:
        raise DataRefused(
            f"{path.name} is not a Parquet file: it begins with {begin!r}; "
            "write it anew, or name it .csv if it is text."
        )
    if begin.startswith(b"\x1f\x8b") and path.suffix != ".gz":
        raise DataRefused(f"{path.name} is packed with gzip; give it a name in .csv.gz.")
    return "csv"


def _parquet_file(path: Path) -> parquet.ParquetFile:
    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataRefused(
            f"{path.name} is cut short or damaged: {error}; write the file anew."
        ) from error


def unpacked_bytes(path: Path) -> int:
    """The size of the text; of a packed file as far as its last four bytes tell (RFC 1952)."""
    if path.suffix != ".gz":
        return path.stat().st_size
    with path.open("rb") as file:
        file.seek(-4, 2)
        return int.from_bytes(file.read(4), "little")


def _check_memory(
    path: Path, rows: int, columns: int, size: int, available_bytes: int | None
) -> None:
    """Refuse a table that would not fit into memory.

    Raises:
        DataRefused: with what it takes and what there is.
    """
    check_free(
        max(rows * columns * BYTES_PER_VALUE, COPIES_OF_TEXT * size),
        f"{path.name} has about {rows:,} rows of {columns} columns, which take",
        "leave columns out with ignore, or take fewer rows",
        available_bytes,
    )


def check_free(needed: int, what: str, remedy: str, available_bytes: int | None) -> None:
    """Refuse what needs more bytes than `available_bytes`, or, where None, than the host has free.

    Raises:
        DataRefused: `what`, which ends in "take", what it takes, what there is, and the remedy.
    """
    available = available_memory() if available_bytes is None else available_bytes
    if needed > available:
        raise DataRefused(
            f"{what} {_size(needed)} of memory; {_size(available)} are free: {remedy}."
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
