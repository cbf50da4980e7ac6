"""Rows of a table as series: those with one value of a column are one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from models.catalog import DataRefused
from models.data.series.raw import Integers, Series
from models.data.tables.division import check_no_null, codes_of_values, moments_in
from models.data.tables.values import BadValue, Floats, kind_of, parts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesOfRows:
    """Series in the order of their first rows."""

    series: Series
    #: The first row (N,) of each in the table.
    first_rows: Integers
    #: The series (rows,) that each row of the table is of.
    owners: Integers


def series_of_rows(
    table: pa.Table, channels: Sequence[str], *, series: str, time: str | None
) -> SeriesOfRows:
    """The rows with one value of `series`, in the order of `time`, or else of the table.

    Raises:
        DataRefused: a row lacks its series or its time, or a channel holds no numbers.
    """
    check_no_null(table[series], series, "series")
    owners = codes_of_values(table[series])
    rows = np.arange(len(owners))
    order = np.lexsort((rows if time is None else moments_in(table[time], time), owners))
    values = np.stack([_numbers(table[name], name)[order] for name in channels])
    return SeriesOfRows(
        series=Series(channels=tuple(channels), values=values, lengths=np.bincount(owners)),
        first_rows=np.unique(owners, return_index=True)[1],
        owners=owners,
    )


def check_constant(table: pa.Table, name: str, role: str, of: SeriesOfRows, series: str) -> None:
    """Refuse a column that must have one value in all rows of a series, and has not.

    Raises:
        DataRefused: with the first series, values and rows.
    """
    codes = codes_of_values(table[name])
    differs = np.flatnonzero(codes != codes[of.first_rows][of.owners])
    if differs.size:
        row = int(differs[0])
        first = int(of.first_rows[of.owners[row]])
        was, became = (table[name][at].as_py() for at in (first, row))
        raise DataRefused(
            f"{role.capitalize()} {name!r} changes within series {table[series][row].as_py()!r}: "
            f"{was!r} in row {first + 1}, {became!r} in row {row + 1}; a series has one, so "
            "correct the rows, or name another column."
        )


def _numbers(column: pa.ChunkedArray, name: str) -> Floats:
    remedy = "correct it, or list the column under ignore"
    kind, word = kind_of(column, name, remedy)
    if kind not in ("number", "flag"):
        raise DataRefused(
            f"Column {name!r} holds {word}, but the channels of a series are numbers; list it "
            "under ignore, or write numbers."
        )
    try:
        return parts_of(column, kind)["value"]
    except BadValue as bad:
        raise DataRefused(
            f"Column {name!r} is {bad.value!r} in row {bad.row}, where a number is due: {remedy}."
        ) from bad
