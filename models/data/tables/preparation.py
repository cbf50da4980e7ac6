"""All that was learned from a table's training rows, by which raw rows become inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.catalog import DataRefused
from models.data.tables.bending import bent
from models.data.tables.columns import Column, Target, as_json, described, target_in_words
from models.data.tables.options import absent
from models.data.tables.reading import column_names, read_table
from models.data.tables.values import BadValue, codes_of, parts_of

Inputs = npt.NDArray[np.float32]

#: In standard deviations: only a mistake lies further out, and it shall not become infinite.
FARTHEST: Final = 1e4
_FORMAT: Final = "tuner-table-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePreparation:
    """How raw rows become inputs and outputs become answers. All is of the training rows alone."""

    columns: tuple[Column, ...]
    target: Target

    @property
    def numbers(self) -> int:
        """How many numbers an example has; they come first."""
        return sum(column.numbers for column in self.columns)

    @property
    def categories(self) -> tuple[int, ...]:
        """How many codes each column of categories has, in the order in which they come last."""
        return tuple(len(column.categories) + 1 for column in self._of_categories())

    @property
    def features(self) -> tuple[str, ...]:
        """A name for each of an example's inputs."""
        names = []
        for column in self._of_numbers():
            names += [
                column.name if part.name == "value" else f"{column.name}: {part.name}"
                for part in column.parts
            ]
            names += [f"{column.name}: missing"] if column.tells_missing else []
        return (*names, *(column.name for column in self._of_categories()))

    def inputs(self, rows: pa.Table | Path) -> Inputs:
        """Raw rows as inputs (N, numbers + categories); other columns are not looked at.

        A missing number becomes the training rows' median, an unknown category code 0.

        Raises:
            DataRefused: a column is absent, or a value is not of its kind.
        """
        table = self._read(rows) if isinstance(rows, Path) else rows
        inputs = np.empty((table.num_rows, self.numbers + len(self.categories)), dtype=np.float32)
        at = 0
        for column in (*self._of_numbers(), *self._of_categories()):
            values = _column(table, column.name)
            if column.kind == "category":
                inputs[:, at] = codes_of(values, column.categories)
                at += 1
            else:
                _write_numbers(inputs[:, at : at + column.numbers], values, column)
                at += column.numbers
        return inputs

    def to_json(self) -> dict[str, Any]:
        """A document of plain values, from which `from_json` makes an equal preparation."""
        return {
            "format": _FORMAT,
            "columns": [as_json(column) for column in self.columns],
            "target": as_json(self.target),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "TablePreparation":
        """The preparation that `to_json` wrote.

        Raises:
            ValueError: it is another document.
        """
        if document.get("format") != _FORMAT:
            raise ValueError(f"no preparation of a table, but {document.get('format')!r}")
        return cls(
            columns=tuple(Column.from_json(column) for column in document["columns"]),
            target=Target.from_json(document["target"]),
        )

    def describe(self) -> list[dict[str, Any]]:
        """Each column in words, the target first: ``column``, ``type``, ``missing`` (a share of
        the training rows), ``used`` and ``note``."""
        target = self.target
        first = {"column": target.name, "type": target.type, "missing": 0.0}
        return [
            first | {"used": f"target: {target_in_words(target)}", "note": target.note},
            *(described(column) for column in self.columns),
        ]

    def _of_numbers(self) -> list[Column]:
        return [c for c in self.columns if c.kind not in ("none", "category")]

    def _of_categories(self) -> list[Column]:
        return [c for c in self.columns if c.kind == "category"]

    def _read(self, path: Path) -> pa.Table:
        used = [column.name for column in (*self._of_numbers(), *self._of_categories())]
        return read_columns(path, used, text=[column.name for column in self._of_categories()])


def read_columns(path: Path, used: Sequence[str], *, text: Sequence[str] = ()) -> pa.Table:
    """All rows of the columns a network was trained with; those of `text` are read as text.

    Raises:
        DataRefused: one is absent, or the file is not what it says.
    """
    there = column_names(path)
    for name in used:
        if name not in there:
            raise _without(name, there)
    return read_table(path, leave_out={*there} - {*used}, text=text)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise _without(name, tuple(table.column_names))
    return table[name]


def _without(name: str, there: tuple[str, ...]) -> DataRefused:
    return DataRefused(f"The network was trained with column {name!r}, {absent(name, there)}")


def _write_numbers(inputs: Inputs, values: pa.ChunkedArray, column: Column) -> None:
    """Fill `inputs` (N, numbers of the column)."""
    try:
        found = parts_of(values, column.kind)
    except BadValue as bad:
        raise DataRefused(
            f"Column {column.name!r} is {bad.value!r} in row {bad.row}, but a {column.kind} in "
            "the rows that were trained with; correct it."
        ) from bad
    missing = np.isnan(next(iter(found.values())))  # Of a date, one part where all.
    for at, part in enumerate(column.parts):
        numbers = found[part.name]
        numbers[missing] = part.fill
        with np.errstate(over="ignore"):
            values = bent(numbers, part.knots, size=part.size, power=part.power)
            scaled = (values - part.mean) / part.std
        inputs[:, at] = np.clip(scaled, -FARTHEST, FARTHEST)
    if column.tells_missing:
        inputs[:, -1] = missing
