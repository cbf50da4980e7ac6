"""CSV files: what separates the fields, what the first line names, and the rows in columns."""

import csv
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import csv as pacsv

from models.catalog import DataRefused

#: What is looked at to tell the delimiter and to estimate the rows.
SAMPLE_BYTES: Final = 1 << 16
#: What is looked at while not even two lines have ended.
LONGEST_SAMPLE_BYTES: Final = 1 << 24
#: Types are first told from one block; a column of which a later one disagrees is read anew.
BLOCK_BYTES: Final = 8 << 20
_DELIMITERS: Final = ",;\t|"
_SNIFFED_LINES: Final = 50
#: Written for a missing value, besides what pyarrow knows: the UCI repository's sign.
_MISSING: Final = (*pacsv.ConvertOptions().null_values, "?")
#: Dates whose order of day and month is beyond doubt.
_DATES: Final = (
    pacsv.ISO8601,
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M:%S",
)
_BROKEN_COLUMN: Final = re.compile(r"CSV column #(\d+):.*CSV conversion error to (\w+)", re.DOTALL)
_NUMBER: Final = re.compile(r"\s*[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a CSV file is written."""

    names: tuple[str, ...]
    delimiter: str
    decimal_point: str
    #: Whether a field may go on after a line's end, within quotes.
    quoted: bool
    #: A row's mean, as far as was looked.
    row_bytes: float


def dialect_of(path: Path) -> Dialect:
    """How the file is written, told from its beginning.

    Raises:
        DataRefused: it is not text, or its first line names no columns.
    """
    sample = _beginning(path)
    lines = sample.decode("utf-8-sig", errors="replace").splitlines(keepends=True)
    if len(sample) >= SAMPLE_BYTES and len(lines) > 1:
        lines.pop()  # Most likely cut off.
    delimiter = "\t" if ".tsv" in path.suffixes else _delimiter(lines[:_SNIFFED_LINES])
    names = _names(path, lines, delimiter)
    return Dialect(
        names=tuple(names),
        delimiter=delimiter,
        decimal_point=_decimal_point(lines[1:_SNIFFED_LINES], delimiter),
        quoted=b'"' in sample,
        row_bytes=sum(len(line.encode()) for line in lines[1:]) / max(1, len(lines) - 1),
    )


def _beginning(path: Path) -> bytes:
    try:
        with pa.input_stream(str(path)) as stream:
            sample: bytes = stream.read(SAMPLE_BYTES)
            if len(sample) == SAMPLE_BYTES and sample.count(b"\n") < 2:
                sample += stream.read(LONGEST_SAMPLE_BYTES)
    except OSError as error:
        raise DataRefused(f"{path.name} cannot be read: {error}; write the file anew.") from error
    if not sample.strip():
        raise DataRefused(f"{path.name} is empty; it needs a line of column names and rows.")
    if b"\0" in sample:
        raise DataRefused(
            f"{path.name} is not a CSV file: it holds zero bytes; save it as UTF-8 text."
        )
    return sample


def _delimiter(lines: list[str]) -> str:
    """The candidate that cuts most lines into equally many fields, at least two."""

    def merit(delimiter: str) -> tuple[bool, float, int]:
        try:
            fields = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter))
        except csv.Error:  # A field is longer than any that parts a line.
            return False, 0.0, 0
        width, rows = fields.most_common(1)[0]
        return width > 1, rows / fields.total(), width

    return max(_DELIMITERS, key=merit)


def _decimal_point(lines: list[str], delimiter: str) -> str:
    """A comma where numbers are written with one, as those with a semicolon between often are."""
    if delimiter == ",":
        return "."
    fields = [field for line in lines for field in line.strip().split(delimiter)]
    numbers = [field for field in fields if _NUMBER.fullmatch(field)]
    commas = sum("," in number for number in numbers)
    return "," if commas > sum("." in number for number in numbers) else "."


def _names(path: Path, lines: list[str], delimiter: str) -> list[str]:
    """What the first line that is not empty names."""
    try:
        names = next(row for row in csv.reader(lines, delimiter=delimiter) if row)
    except csv.Error as error:
        raise DataRefused(
            f"The first line of {path.name} names no columns: {error}; write the file anew."
        ) from error
    if all(_NUMBER.fullmatch(name) for name in names):
        raise DataRefused(
            f"The first line of {path.name} holds numbers, {', '.join(names[:4])}; "
            "it must name the columns: add a line."
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataRefused(f"{path.name} has two columns named {twice[0]!r}; rename one.")
    return names


def read_csv(
    path: Path, dialect: Dialect, *, columns: Collection[str], text: Collection[str]
) -> pa.Table:
    """All rows of `columns`; those of `text` are read as text whatever they look like.

    Raises:
        DataRefused: a row has too few or too many fields, or a value is no UTF-8.
    """
    types: dict[str, pa.DataType] = {name: pa.string() for name in text}
    while True:
        try:
            table = _read(path, dialect, columns, types)
        except pa.ArrowInvalid as error:
            broken = _BROKEN_COLUMN.search(str(error))
            if broken is None and not dialect.quoted:
                dialect = replace(dialect, quoted=True)
            elif broken is None:
                raise _refusal(path, dialect, error) from error
            elif broken[2] == "string":
                raise _not_utf8(path, dialect.names[int(broken[1])]) from error
            else:
                name = dialect.names[int(broken[1])]
                types[name] = pa.float64() if broken[2] == "int64" else pa.string()
        else:
            for field in table.schema:
                if pa.types.is_binary(field.type):
                    raise _not_utf8(path, field.name)
            return table


def _read(
    path: Path,
    dialect: Dialect,
    columns: Collection[str],
    types: dict[str, pa.DataType],
    on_bad_row: Any = None,
) -> pa.Table:
    """All rows; on one thread where `on_bad_row` wants to know a row's number."""
    return pacsv.read_csv(
        str(path),
        read_options=pacsv.ReadOptions(block_size=BLOCK_BYTES, use_threads=on_bad_row is None),
        parse_options=pacsv.ParseOptions(
            delimiter=dialect.delimiter,
            newlines_in_values=dialect.quoted,
            invalid_row_handler=on_bad_row,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=types,
            include_columns=list(columns),
            null_values=_MISSING,
            strings_can_be_null=True,
            decimal_point=dialect.decimal_point,
            timestamp_parsers=_DATES,
        ),
    )


def _not_utf8(path: Path, column: str) -> DataRefused:
    return DataRefused(
        f"Column {column!r} of {path.name} holds text that is not UTF-8; save it as UTF-8."
    )


def _refusal(path: Path, dialect: Dialect, error: pa.ArrowInvalid) -> DataRefused:
    bad = _first_bad_row(path, dialect)
    if bad is None:
        return DataRefused(f"{path.name} is not a CSV file: {error}; write it anew.")
    return DataRefused(
        f"Row {bad.number - 1} of {path.name} has {bad.actual_columns} fields where the first "
        f"line names {bad.expected_columns} columns: {bad.text[:80]!r}; correct the row."
    )


def _first_bad_row(path: Path, dialect: Dialect) -> Any:
    """pyarrow's description of it, with its number in the file; None if all rows are well."""
    found: list[Any] = []

    def keep(row: Any) -> str:
        found.append(row)
        return "error"

    try:
        _read(path, dialect, dialect.names, {}, keep)
    except pa.ArrowInvalid:
        return found[0] if found else None
    return None
