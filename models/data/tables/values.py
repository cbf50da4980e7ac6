"""A column's values in the forms that are learned from: numbers, moments and texts."""

import re
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from models.catalog import DataRefused
from models.data.tables.columns import Kind

Floats = npt.NDArray[np.float64]

#: A column of texts is one of numbers where at least so many of its values are; the others are
#: mistakes.
NUMERIC_SHARE: Final = 0.9
#: Numbers beyond it cannot be squared and added up.
LARGEST: Final = 1e100
_NUMBER: Final = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_MOMENT: Final = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?$"
_QUOTED: Final = re.compile(r"'(.*?)'", re.DOTALL)
_MISSING: Final = ("", "?")
_KINDS: Final[tuple[tuple[Callable[[pa.DataType], bool], Kind, str], ...]] = (
    (pa.types.is_null, "none", "empty"),
    (pa.types.is_boolean, "flag", "flag"),
    (pa.types.is_integer, "number", "integer"),
    (pa.types.is_floating, "number", "number"),
    (pa.types.is_decimal, "number", "number"),
    (pa.types.is_date, "date", "date"),
    (pa.types.is_timestamp, "date", "date and time"),
    (pa.types.is_time, "number", "time of day"),
    (pa.types.is_duration, "number", "duration"),
)
_DAY_US: Final = 86_400_000_000


class BadValue(Exception):
    """A value is not of its column's kind. Rows count from 1."""

    def __init__(self, row: int, value: object) -> None:
        super().__init__(f"row {row} has {value!r}")
        self.row = row
        self.value = value


def kind_of(column: pa.ChunkedArray, name: str, remedy: str) -> tuple[Kind, str]:
    """What a column is, and its type in a word, from how its values are stored or written.

    Integers are numbers, however few there are: their order and distances are kept.

    Raises:
        DataRefused: it is text, and nearly all of it are numbers; `remedy` ends the message.
    """
    stored = column.type
    if pa.types.is_dictionary(stored):
        return kind_of(column.cast(stored.value_type), name, remedy)
    if _is_text(stored):
        return _kind_of_text(column, name, remedy)
    for belongs, kind, word in _KINDS:
        if belongs(stored):
            return kind, word
    return "none", str(stored)


def _kind_of_text(column: pa.ChunkedArray, name: str, remedy: str) -> tuple[Kind, str]:
    try:
        text = text_of(column)
    except pa.ArrowInvalid:
        return "none", "bytes"
    counts = pc.value_counts(text.drop_null())
    if not len(counts):
        return "none", "empty"
    values, rows = counts.field("values"), counts.field("counts").to_numpy()
    numeric = pc.match_substring_regex(values, _NUMBER).to_numpy(zero_copy_only=False)
    share = rows[numeric].sum() / rows.sum()
    if share == 1:
        return "number", "text of numbers"
    if share >= NUMERIC_SHARE:
        row = pc.index(text, values.filter(pa.array(~numeric))[0]).as_py()
        raise DataRefused(
            f"Column {name!r} holds numbers but for {rows[~numeric].sum()} of its values; "
            f"the first is {text[row].as_py()!r} in row {row + 1}: {remedy}."
        )
    if pc.all(pc.match_substring_regex(values, _MOMENT)).as_py() and _are_moments(values):
        return "date", "text of dates"
    return "category", "text"


def _are_moments(values: pa.Array) -> bool:
    try:
        values.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True


def _is_text(stored: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    binary = (pa.types.is_binary, pa.types.is_large_binary)
    return any(test(stored) for test in (*tests, *binary))


def text_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Every value as text without blanks around it; null where it is missing.

    A whole number is written without a point, so that 3.0 and 3 are one category.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = _whole(column)
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    missing = pc.is_in(text, value_set=pa.array(_MISSING))
    return pc.if_else(missing, pa.scalar(None, pa.string()), text)


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The numbers as integers if all are."""
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column


def parts_of(column: pa.ChunkedArray, kind: Kind) -> dict[str, Floats]:
    """The numbers (N,) a number, flag or date gives, by name; NaN where it is missing.

    Raises:
        BadValue: a value is of another kind.
    """
    if kind == "flag" and _is_text(column.type):
        column = _flags(column)
    if kind != "date":
        return {"value": numbers_of(column)}
    moments = moments_of(column)
    days = np.floor_divide(_floats(moments.cast(pa.int64())), _DAY_US)
    parts = {
        "year": pc.year(moments),
        "month": pc.month(moments),
        "day": pc.day(moments),
        "weekday": pc.day_of_week(moments),
        "hour": pc.hour(moments),
    }
    return {name: _floats(part) for name, part in parts.items()} | {"elapsed days": days}


def _flags(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Flags written as text, as 0 and 1.

    Raises:
        BadValue: a value is neither true nor false.
    """
    text = text_of(column)
    index = pc.index_in(pc.utf8_lower(text), value_set=pa.array(("false", "true")))
    bad = pc.index(pc.and_(pc.is_null(index), pc.is_valid(text)), True).as_py()
    if bad >= 0:
        raise BadValue(bad + 1, text[bad].as_py())
    return index


def numbers_of(column: pa.ChunkedArray) -> Floats:
    """The values (N,) as floats; NaN where one is missing or infinite. Flags are 0 and 1.

    Raises:
        BadValue: a value is no number.
    """
    stored = column.type
    if pa.types.is_dictionary(stored):
        return numbers_of(column.cast(stored.value_type))
    if _is_text(stored):
        column = _parsed(text_of(column), pa.float64(), _NUMBER)
    elif pa.types.is_time(stored) or pa.types.is_duration(stored):
        column = column.cast(pa.int32() if pa.types.is_time32(stored) else pa.int64())
    elif not _is_number(stored):
        raise _first(column)
    numbers = _floats(column)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _is_number(stored: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(t(stored) for t in (*tests, pa.types.is_boolean, pa.types.is_null))


def moments_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values as timestamps in microseconds of UTC, null where one is missing.

    Raises:
        BadValue: a value is no date.
    """
    stored = column.type
    if pa.types.is_dictionary(stored):
        return moments_of(column.cast(stored.value_type))
    if _is_text(stored):
        return _parsed(text_of(column), pa.timestamp("us"), _MOMENT)
    if pa.types.is_date(stored):
        return column.cast(pa.timestamp("s")).cast(pa.timestamp("us"))
    if pa.types.is_timestamp(stored) or pa.types.is_null(stored):
        return column.cast(pa.timestamp("us"), safe=False)
    raise _first(column)


def _parsed(text: pa.ChunkedArray, wanted: pa.DataType, pattern: str) -> pa.ChunkedArray:
    try:
        return text.cast(wanted)
    except pa.ArrowInvalid as error:
        well = pc.fill_null(pc.match_substring_regex(text, pattern), True)
        row = pc.index(well, False).as_py()
        quoted = _QUOTED.search(str(error))
        if row < 0 and quoted:  # Well written, and no such day.
            row = pc.index(text, quoted[1]).as_py()
        raise BadValue(row + 1, text[row].as_py()) from error


def _first(column: pa.ChunkedArray) -> BadValue:
    """The first value there is, which is of the wrong kind as all are."""
    row = pc.index(pc.is_valid(column), True).as_py()
    return BadValue(row + 1, str(column[row].as_py()))


def _floats(column: pa.ChunkedArray) -> Floats:
    """A copy that may be written to; NaN for null."""
    numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.array(numbers, dtype=np.float64)


def codes_of(column: pa.ChunkedArray, categories: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Each value's code (N,): its place in `categories` from 1; 0 if it is missing or unknown."""
    index = pc.index_in(text_of(column), value_set=pa.array(categories, pa.string()))
    codes: npt.NDArray[np.int64] = pc.fill_null(index, -1).to_numpy().astype(np.int64) + 1
    return codes
