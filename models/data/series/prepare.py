"""Series from their file to the numbers a network trains on."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.catalog import DataRefused, DataShape
from models.data.series.of_rows import check_constant, series_of_rows
from models.data.series.preparation import Channel, SeriesPreparation
from models.data.series.raw import Series
from models.data.series.ts_file import TsFile, read_ts
from models.data.tables.division import TEST, TRAIN, VAL, divide
from models.data.tables.options import TableOptions
from models.data.tables.prepare import (
    Rows,
    answers_of,
    class_rows_of,
    fingerprint_of,
    learned_target,
)
from models.data.tables.reading import column_names, read_table
from models.data.tables.targets import Labelled, Measured, read_target
from models.data.tables.values import LARGEST, Floats

#: What a .ts file's class or number is called, and what tells its series.
TARGET: Final = "target"
LINES: Final = "lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSeries:
    """Series, divided and in numbers."""

    train: Rows
    val: Rows
    test: Rows | None
    preparation: SeriesPreparation
    #: Of contents, options and division: equal data has an equal fingerprint.
    fingerprint: str
    #: What was found in the file, in sentences.
    notes: tuple[str, ...]
    #: Whether any series may learn or validate.
    exchangeable: bool

    @property
    def shape(self) -> DataShape:
        """What models and losses need to know of it."""
        classes = len(self.preparation.target.classes)
        return DataShape(
            input_shape=self.preparation.input_shape,
            classes=classes,
            train_rows=len(self.train),
            val_rows=len(self.val),
            test_rows=len(self.test) if self.test else 0,
            labels=(0, max(0, classes - 1)),
            kind="series",
            flagged=self.preparation.flagged,
            exchangeable=self.exchangeable,
            class_rows=class_rows_of(self.train, classes),
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was made of the file, for people."""
        return (*self.notes, *self.preparation.sentences())


def prepare_series_of_rows(
    path: Path, options: TableOptions, *, split_seed: int, available_bytes: int | None = None
) -> PreparedSeries:
    """The series in the table at `path`: the rows with one value of the column `options.series`.

    Raises:
        DataRefused: the file, a column or a value is not what it should be.
    """
    assert options.series is not None
    options.check_columns(column_names(path))
    table = read_table(path, leave_out=options.ignore, available_bytes=available_bytes)
    roles = (options.series, options.time, options.group, options.target)
    channels = [name for name in table.column_names if name not in roles]
    if not channels:
        raise DataRefused(
            f"No column is left for the channels of series {options.series!r}; add columns of "
            "numbers, or ignore fewer."
        )
    read_target(table[options.target], options)  # Refuses with the number of the row.
    of = series_of_rows(table, channels, series=options.series, time=options.time)
    check_constant(table, options.target, "target", of, options.series)
    if options.group is not None:
        check_constant(table, options.group, "group", of, options.series)
    named = table.select([name for name in (options.target, options.group) if name is not None])
    firsts = named.take(pa.array(of.first_rows))
    target = read_target(firsts[options.target], options)
    plan = Plan(options=options, split_seed=split_seed, available_bytes=available_bytes)
    return prepared_series(of.series, firsts, target, plan)


def prepare_ts(
    train: Path,
    test: Path | None = None,
    *,
    options: TableOptions,
    split_seed: int,
    available_bytes: int | None = None,
) -> PreparedSeries:
    """The series in a .ts file; those in the file `test`, if there is one, are the test split.

    Raises:
        DataRefused: a file or a line of it is not what it should be.
    """
    file = read_ts(train, available_bytes=available_bytes)
    series, targets, test_rows = file.series, file.targets, 0
    if test is not None:
        beside = read_ts(test, available_bytes=available_bytes)
        _check_alike(train, file, test, beside)
        series, test_rows = series.then(beside.series), len(beside.series)
        targets = (*targets, *beside.targets)
    target = _target(train, file, targets)
    rows = pa.table({TARGET: np.arange(len(series))})
    plan = Plan(
        options=options,
        split_seed=split_seed,
        test_rows=test_rows,
        available_bytes=available_bytes,
    )
    return prepared_series(series, rows, target, plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How series are divided and prepared."""

    options: TableOptions
    split_seed: int
    #: The last so many are the test split; 0 where the options' share is drawn.
    test_rows: int = 0
    #: So many before them validate; 0 where the options' share is drawn.
    val_rows: int = 0
    available_bytes: int | None = None


def _check_alike(train: Path, first: TsFile, test: Path, second: TsFile) -> None:
    """Both files measure and predict the same.

    Raises:
        DataRefused: they do not.
    """
    for what, one, other in (
        ("dimensions", len(first.series.channels), len(second.series.channels)),
        ("targets", first.header.target, second.header.target),
    ):
        if one != other:
            raise DataRefused(
                f"{train.name} has {one} as its {what}, and {test.name} beside it, which would be "
                f"the test split, {other}; correct one, or give it another name."
            )


def _target(
    path: Path, file: TsFile, targets: tuple[str, ...] | tuple[float, ...]
) -> Labelled | Measured:
    """Classes are in the header's order; those that no series is of are left out."""
    match file.header.target:
        case "none":
            raise DataRefused(
                f"{path.name} says nothing of what is to be predicted; write @classLabel true with "
                "the classes' names, or @targetLabel true, and end each line with its own."
            )
        case "number":
            numbers = np.array(targets, dtype=np.float64)
            _check_numbers(path, numbers)
            return Measured(type="number", numbers=numbers, note="")
        case "classes":
            classes = tuple(name for name in file.header.classes if name in {*targets})
            if len(classes) < 2:
                raise DataRefused(
                    f"All series of {path.name} are of class {targets[0]!r}; a class is only "
                    "learned beside another: add series."
                )
            code = {name: at for at, name in enumerate(classes)}
            codes = np.array([code[str(name)] for name in targets], dtype=np.int64)
            return Labelled(type="text", classes=classes, codes=codes, note="")


def _check_numbers(path: Path, numbers: Floats) -> None:
    largest = float(np.abs(numbers).max())
    if largest > LARGEST:
        raise DataRefused(
            f"{path.name} has a number of size {largest:g} to predict, too large to learn; give "
            "it in a larger unit."
        )
    if numbers.min() == numbers.max():
        raise DataRefused(
            f"{path.name} has the number {numbers[0]:g} to predict in all series, so that there "
            "is nothing to learn; write others, or add series."
        )


def prepared_series(
    series: Series, rows: pa.Table, target: Labelled | Measured, plan: Plan
) -> PreparedSeries:
    """The series, divided and prepared as `plan` says.

    `rows` has a row for each series, of which the columns are constant within one.

    Raises:
        DataRefused: they cannot be so divided, or hold what is no number to learn from.
    """
    options = plan.options
    # The time orders the rows of a series, and divides nothing.
    by = replace(options, time=None)
    sides = divide(
        rows,
        target,
        by,
        seed=plan.split_seed,
        test_rows=plan.test_rows,
        val_rows=plan.val_rows,
    )
    divided = series.lengths[: len(series) - plan.test_rows]
    own = series.values[:, : divided.sum()]
    preparation = SeriesPreparation(
        channels=_channels(series, sides == TRAIN),
        length=int(divided.max()),
        flagged=bool(np.isnan(own).any() or divided.min() < divided.max()),
        target=learned_target(target, sides == TRAIN, options),
        series=None if options.series == LINES else options.series,
        time=options.time,
    )
    inputs = preparation.inputs(series, available_bytes=plan.available_bytes)
    answers = answers_of(target, preparation.target)

    def of(side: int) -> Rows:
        return Rows(inputs=inputs[sides == side], target=answers[sides == side])

    train, val, test = of(TRAIN), of(VAL), of(TEST) if (sides == TEST).any() else None
    document = {"preparation": preparation.to_json(), "options": asdict(options)}
    return PreparedSeries(
        train=train,
        val=val,
        test=test,
        preparation=preparation,
        fingerprint=fingerprint_of(document, [train, val, *([test] if test else [])]),
        notes=(_found(series, plan.test_rows),),
        exchangeable=options.group is None and not plan.val_rows,
    )


def _channels(series: Series, train: npt.NDArray[np.bool_]) -> tuple[Channel, ...]:
    """The channels' statistics over the series that `train` selects.

    Raises:
        DataRefused: no channel has values that differ, or one is too large to add up.
    """
    own = series.values[:, train[series.owners]]
    if not any(np.nanmin(values) < np.nanmax(values) for values in own if not _empty(values)):
        raise DataRefused(
            f"All values of the training series are missing or one and the same in each of "
            f"{len(own)} channels, so that there is nothing to learn from; correct the series."
        )
    return tuple(_channel(*pair) for pair in zip(series.channels, own, strict=True))


def _empty(values: Floats) -> bool:
    return bool(np.isnan(values).all())


def _channel(name: str, values: Floats) -> Channel:
    present = values[~np.isnan(values)]
    missing = 1 - present.size / values.size
    if not present.size:
        return Channel(name=name, mean=0.0, std=1.0, missing=missing)
    largest = float(np.abs(present).max())
    if largest > LARGEST:
        raise DataRefused(
            f"Channel {name!r} holds a number of size {largest:g}, too large to learn from; "
            "correct it."
        )
    # Rounding makes a constant's deviation a little more than nothing.
    std = float(present.std()) if present.min() < present.max() else 1.0
    return Channel(name=name, mean=float(present.mean()), std=std or 1.0, missing=missing)


def _found(series: Series, test_rows: int) -> str:
    shortest, longest = int(series.lengths.min()), series.longest
    length = f"{longest} places" if shortest == longest else f"{shortest} to {longest} places"
    test = f", {test_rows} of them in the test file beside" if test_rows else ""
    return f"{len(series)} series of {len(series.channels)} channels and {length}{test}."
