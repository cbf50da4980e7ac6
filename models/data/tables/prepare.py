"""A table from its file to the numbers a network trains on."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.catalog import DataRefused, DataShape
from models.data.tables.columns import Column, Target
from models.data.tables.division import TEST, TRAIN, VAL, divide
from models.data.tables.learning import learn, left_out
from models.data.tables.options import TableOptions
from models.data.tables.preparation import Inputs, TablePreparation
from models.data.tables.reading import column_names, read_table
from models.data.tables.targets import Labelled, Measured, read_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of a split, in the file's order.

    `inputs` (N, numbers + categories) has the codes of categories last; `target` (N,) holds int64
    codes of classes or float32 numbers, standardised.
    """

    inputs: Inputs
    target: npt.NDArray[np.int64] | npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTable:
    """A table, divided and in numbers."""

    train: Rows
    val: Rows
    test: Rows | None
    preparation: TablePreparation
    #: Of contents, options and division: equal data has an equal fingerprint.
    fingerprint: str
    #: The smallest target that is a number, in its own unit.
    smallest: float = 0.0
    #: Whether any row may learn or validate.
    exchangeable: bool = False

    @property
    def shape(self) -> DataShape:
        """What models and losses need to know of it."""
        preparation = self.preparation
        classes = len(preparation.target.classes)
        return DataShape(
            input_shape=(self.train.inputs.shape[1],),
            classes=classes,
            train_rows=len(self.train),
            val_rows=len(self.val),
            test_rows=len(self.test) if self.test else 0,
            labels=(0, max(0, classes - 1)),
            kind="table",
            categories=preparation.categories,
            class_rows=class_rows_of(self.train, classes),
            smallest=self.smallest,
            exchangeable=self.exchangeable,
        )


def prepare_table(
    path: Path, options: TableOptions, *, split_seed: int, available_bytes: int | None = None
) -> PreparedTable:
    """The table in the file at `path`, which must be one the user may read.

    Raises:
        DataRefused: the file, a column or a value is not what it should be.
    """
    names = column_names(path)
    options.check_columns(names)
    table = read_table(
        path, leave_out=options.ignore, text=options.categories, available_bytes=available_bytes
    )
    return _prepared(table, options, split_seed)


def prepare(
    table: pa.Table,
    options: TableOptions,
    *,
    split_seed: int,
    test_rows: int = 0,
    val_rows: int = 0,
) -> PreparedTable:
    """A table in memory, such as a bundled one; otherwise like `prepare_table`.

    If it comes with a test split, its last `test_rows`, the options' share is not looked at, nor is
    that of validation, if the `val_rows` before them are that.

    Raises:
        DataRefused: a column or a value is not what it should be.
    """
    options.check_columns(table.column_names)
    return _prepared(table, options, split_seed, test_rows, val_rows)


def _prepared(
    table: pa.Table,
    options: TableOptions,
    split_seed: int,
    test_rows: int = 0,
    val_rows: int = 0,
) -> PreparedTable:
    """`table` may lack the columns that are ignored."""
    target = read_target(table[options.target], options)
    sides = divide(table, target, options, seed=split_seed, test_rows=test_rows, val_rows=val_rows)
    preparation = TablePreparation(
        columns=_columns(table, sides == TRAIN, options),
        target=learned_target(target, sides == TRAIN, options),
    )
    inputs = preparation.inputs(table)
    answers = answers_of(target, preparation.target)

    def rows(side: int) -> Rows:
        return Rows(inputs=inputs[sides == side], target=answers[sides == side])

    train, val, test = rows(TRAIN), rows(VAL), rows(TEST) if (sides == TEST).any() else None
    document = {"preparation": preparation.to_json(), "options": asdict(options)}
    return PreparedTable(
        train=train,
        val=val,
        test=test,
        preparation=preparation,
        exchangeable=options.group is None and options.time is None and not val_rows,
        smallest=0.0 if isinstance(target, Labelled) else float(target.numbers.min()),
        fingerprint=fingerprint_of(document, [train, val, *([test] if test else [])]),
    )


def describe(prepared: PreparedTable) -> list[dict[str, Any]]:
    """Each column in words, for people: see `TablePreparation.describe`."""
    return prepared.preparation.describe()


def _columns(
    table: pa.Table, train: npt.NDArray[np.bool_], options: TableOptions
) -> tuple[Column, ...]:
    """All columns but the target, in the table's order, those ignored last.

    Raises:
        DataRefused: none is left to learn from.
    """
    mask = pa.array(train)
    used = [n for n in table.column_names if n != options.target and n not in options.ignore]
    columns = [learn(name, table, mask, options) for name in used]
    if all(column.kind == "none" for column in columns):
        reasons = "; ".join(f"{column.name!r}: {column.note}" for column in columns[:5])
        raise DataRefused(
            f"No column is left to learn {options.target!r} from ({reasons or 'there is none'}); "
            "add columns, or ignore fewer."
        )
    return (*columns, *(left_out(name, "", "listed under ignore") for name in options.ignore))


def learned_target(
    target: Labelled | Measured, train: npt.NDArray[np.bool_], options: TableOptions
) -> Target:
    """The target with the mean and deviation of the rows that `train` selects."""
    if isinstance(target, Labelled):
        return Target(
            name=options.target, type=target.type, classes=target.classes, note=target.note
        )
    numbers = target.numbers[train]
    mean, std = float(numbers.mean()), float(numbers.std())
    return Target(
        name=options.target, type=target.type, mean=mean, std=std or 1.0, note=target.note
    )


def answers_of(
    target: Labelled | Measured, learned: Target
) -> npt.NDArray[np.int64] | npt.NDArray[np.float32]:
    """What is learned (N,): codes of classes, or standardised numbers."""
    if isinstance(target, Labelled):
        return target.codes
    return ((target.numbers - learned.mean) / learned.std).astype(np.float32)


def class_rows_of(rows: Rows, classes: int) -> tuple[int, ...]:
    """How many of the rows are of each class; nothing where there are none."""
    if not classes:
        return ()
    return tuple(np.bincount(rows.target.astype(np.int64), minlength=classes).tolist())


def fingerprint_of(document: dict[str, Any], splits: list[Rows]) -> str:
    """A digest of the document and of all rows."""
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for rows in splits:
        digest.update(f"{rows.inputs.shape} {rows.target.dtype}".encode())
        digest.update(np.ascontiguousarray(rows.inputs).data)
        digest.update(np.ascontiguousarray(rows.target).data)
    return digest.hexdigest()
