"""What is learned of a column from the training rows: how it is used, and its statistics."""

from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from models.catalog import DataRefused
from models.data.tables.bending import bent, in_sizes, knots_of, power_of, size_of
from models.data.tables.columns import Column, Kind, Part
from models.data.tables.options import TableOptions
from models.data.tables.values import LARGEST, BadValue, Floats, kind_of, parts_of, text_of

#: A text held by fewer training rows says too little of itself; it counts as unknown.
CATEGORY_ROWS: Final = 5
#: The most frequent are known.
MOST_CATEGORIES: Final = 1000
#: Where so many of a column's texts differ, they are names or sentences.
ID_SHARE: Final = 0.9
#: Integers that all differ number the rows where they leave no more gaps than values.
COUNTER_GAPS: Final = 2
COUNTER_ROWS: Final = 20
#: Years go on: what was learned of one does not hold for the years after.
_PARTS_THAT_GO_ON: Final = frozenset({"year", "elapsed days"})


def left_out(name: str, kind: str, note: str, missing: float = 0.0) -> Column:
    """A column of which nothing is used."""
    return Column(name=name, kind="none", type=kind, missing=missing, note=note)


def learn(name: str, table: pa.Table, train: pa.Array, options: TableOptions) -> Column:
    """What becomes of the column `name`; statistics are those of the rows that `train` selects.

    How values are written, as numbers, dates or texts, is told from all rows.

    Raises:
        DataRefused: numbers with text between them, or too large to add up.
    """
    if name == options.group:
        return left_out(name, str(table[name].type), "rows with one value stay on one side")
    if name in options.categories:
        return _category(name, "code", table[name].filter(train), listed=True)
    kind, word = kind_of(table[name], name, "correct it, or list the column under ignore")
    column = table[name].filter(train)
    if kind == "none":
        return left_out(name, word, _unusable(word), column.null_count / len(column))
    if kind == "category":
        return _category(name, word, column, listed=False)
    if name == options.time and kind != "date":
        return left_out(name, word, "the rows are divided by it")
    if word == "integer" and _counts_rows(column):
        return left_out(name, word, "numbers the rows")
    return _numbers(name, kind, word, column, options)


def _unusable(word: str) -> str:
    return "no row has a value" if word == "empty" else f"{word} is neither number, date nor text"


def _counts_rows(column: pa.ChunkedArray) -> bool:
    """Whether the integers are all different and close to one another."""
    if column.null_count or len(column) < COUNTER_ROWS or len(column.unique()) < len(column):
        return False
    span = pc.min_max(column).as_py()
    return bool(span["max"] - span["min"] < COUNTER_GAPS * len(column))


def _numbers(
    name: str, kind: Kind, word: str, column: pa.ChunkedArray, options: TableOptions
) -> Column:
    """A number, flag or date; what is the same in all training rows is left out."""
    try:
        values = parts_of(column, kind)
    except BadValue as bad:
        raise DataRefused(f"Column {name!r}: {bad}.") from bad
    goes_on = name == options.time
    if goes_on:
        values = {key: v for key, v in values.items() if key not in _PARTS_THAT_GO_ON}
    missing = np.isnan(next(iter(values.values())))
    share = float(missing.mean())
    if missing.all():
        return left_out(name, word, "no training row has a value", 1.0)
    largest = float(np.abs(next(iter(values.values()))[~missing]).max())
    if largest > LARGEST:
        raise DataRefused(
            f"Column {name!r} holds a number of size {largest:g}, too large to learn from; "
            "correct it, or list the column under ignore."
        )
    scaling = options.scaling if kind == "number" else "standard"
    parts = tuple(
        _part(part, numbers[~missing], scaling)
        for part, numbers in values.items()
        if numbers[~missing].min() < numbers[~missing].max()
    )
    if not parts and not share:
        return left_out(name, word, "all training rows have one value")
    note = "without what only goes on, year and elapsed days" if goes_on else ""
    return Column(
        name=name,
        kind=kind,
        type=word,
        missing=share,
        parts=parts,
        tells_missing=share > 0,
        note=note,
    )


def _part(part: str, present: Floats, scaling: str) -> Part:
    knots = knots_of(present) if scaling == "quantile" else ()
    size, power = 1.0, 1.0
    if scaling == "yeo-johnson":
        size = size_of(present)
        power = power_of(in_sizes(present, size))
    values = bent(present, knots, size=size, power=power)
    mean, std = float(values.mean()), float(values.std())
    fill = float(np.median(present))
    # Of numbers that differ by less than can be squared nothing remains but their order.
    return Part(
        name=part, fill=fill, mean=mean, std=std or 1.0, knots=knots, power=power, size=size
    )


def _category(name: str, word: str, column: pa.ChunkedArray, *, listed: bool) -> Column:
    """Texts, or the codes of a column listed as categories; frequent values are known."""
    text = text_of(column)
    share = text.null_count / len(text)
    counts = pc.value_counts(text.drop_null())
    rows = counts.field("counts").to_numpy()
    if not len(rows):
        return left_out(name, word, "no training row has a value", 1.0)
    if len(rows) == 1 and not share:
        return left_out(name, word, "all training rows have one value")
    if not listed and len(rows) >= ID_SHARE * rows.sum():
        note = f"{len(rows)} different texts in {rows.sum()} rows: names or sentences"
        return left_out(name, word, note, share)
    values = np.array(counts.field("values").to_pylist(), dtype=np.str_)
    order = np.lexsort((values, -rows))
    order = order[rows[order] >= CATEGORY_ROWS][:MOST_CATEGORIES]
    if not len(order):
        return left_out(name, word, f"no value has {CATEGORY_ROWS} training rows", share)
    unknown = len(rows) - len(order)
    return Column(
        name=name,
        kind="category",
        type=word,
        missing=share,
        categories=tuple(values[order].tolist()),
        note=f"{unknown} rarer values count as unknown" if unknown else "",
    )
