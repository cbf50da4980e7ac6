"""The column to predict: whether it is a class or a number, and its values."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from models.catalog import DataRefused
from models.data.tables.columns import Label
from models.data.tables.options import TableOptions
from models.data.tables.values import LARGEST, BadValue, Floats, kind_of, numbers_of, text_of

#: Integers are classes if they have no more values than this …
MOST_INTEGER_CLASSES: Final = 20
#: … and each is held by so many rows on average.
ROWS_PER_INTEGER_CLASS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A target of classes: their labels in order, and every row's code (N,)."""

    type: str
    classes: tuple[Label, ...]
    codes: npt.NDArray[np.int64]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A target of numbers (N,), in its own unit."""

    type: str
    numbers: Floats
    note: str


def read_target(column: pa.ChunkedArray, options: TableOptions) -> Labelled | Measured:
    """The target's values: texts, flags and integers of few values are classes.

    Raises:
        DataRefused: a value is missing or of the wrong kind, or there is but one.
    """
    name = options.target
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    _check_complete(column, name)
    if options.task == "classes":
        return _labelled(column, name, "told: task is classes")
    remedy = "correct it, or set task: classes if each text is a class"
    kind, word = kind_of(column, name, remedy)
    if options.task == "number":
        return _measured(column, name, word, "told: task is number")
    if word == "integer" and _few(column):
        note = f"integers of at most {MOST_INTEGER_CLASSES} values are classes; task: number if not"
        return _labelled(column, name, note)
    if kind in ("category", "flag"):
        return _labelled(column, name, "")
    return _measured(column, name, word, "a number; task: classes if each value is a class")


def _check_complete(column: pa.ChunkedArray, name: str) -> None:
    """No row lacks its target.

    Raises:
        DataRefused: with the number of rows that do, and the first.
    """
    missing = pc.is_null(column, nan_is_null=True)
    if pa.types.is_floating(column.type):
        missing = pc.or_(missing, pc.fill_null(pc.is_inf(column), False))
    rows = pc.sum(missing).as_py() or 0
    if rows:
        first = pc.index(missing, True).as_py() + 1
        raise DataRefused(
            f"Target {name!r} has no value in {rows} of {len(column)} rows, the first is row "
            f"{first}; fill them in or remove the rows."
        )


def _few(column: pa.ChunkedArray) -> bool:
    values = len(column.unique())
    return values <= MOST_INTEGER_CLASSES and values * ROWS_PER_INTEGER_CLASS <= len(column)


def _labelled(column: pa.ChunkedArray, name: str, note: str) -> Labelled:
    column = _comparable(column, name)
    values = column.unique().sort()
    if len(values) < 2:
        raise DataRefused(
            f"Target {name!r} has one value, {values[0].as_py()!r}, in all rows; a class is only "
            "learned beside another: name another target, or add rows."
        )
    if 2 * len(values) > len(column):
        raise DataRefused(
            f"Target {name!r} has {len(values)} different values in {len(column)} rows, such as "
            f"{values[0].as_py()!r}, which are no classes: name another target."
        )
    codes = pc.index_in(column, value_set=values).to_numpy().astype(np.int64)
    return Labelled(
        type=_word(values.type), classes=tuple(values.to_pylist()), codes=codes, note=note
    )


def _word(stored: pa.DataType) -> str:
    if pa.types.is_boolean(stored):
        return "flag"
    return "integer" if pa.types.is_integer(stored) else "text"


def _comparable(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Labels as flags, integers or text without blanks around it."""
    if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
        return column
    if pa.types.is_floating(column.type):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            row = pc.index(pc.not_equal(column, pc.round(column)), True).as_py()
            raise DataRefused(
                f"Target {name!r} is {column[row].as_py()!r} in row {row + 1}, which names no "
                "class; set task: number."
            ) from None
    text = text_of(column)
    _check_complete(text, name)
    return text


def _measured(column: pa.ChunkedArray, name: str, word: str, note: str) -> Measured:
    try:
        numbers = numbers_of(column)
    except BadValue as bad:
        raise DataRefused(
            f"Target {name!r} is {bad.value!r} in row {bad.row}, which is no number; correct it, "
            "set task: classes, or name another target."
        ) from bad
    missing = np.flatnonzero(np.isnan(numbers))
    if missing.size:
        raise DataRefused(
            f"Target {name!r} has no value in {missing.size} of {len(column)} rows, the first is "
            f"row {missing[0] + 1}; fill them in or remove the rows."
        )
    largest = float(np.abs(numbers).max())
    if largest > LARGEST:
        raise DataRefused(
            f"Target {name!r} holds a number of size {largest:g}, too large to learn; give it in "
            "a larger unit."
        )
    if numbers.min() == numbers.max():
        raise DataRefused(
            f"Target {name!r} is {numbers[0]:g} in all rows, so that there is nothing to learn; "
            "name another target."
        )
    return Measured(type=word, numbers=numbers, note=note)
