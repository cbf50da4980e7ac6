"""Which rows train, which validate and which are set aside: by class, by group, or by time."""

from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from models.catalog import DataRefused
from models.data.stratified import validation_counts
from models.data.tables.options import TableOptions
from models.data.tables.targets import Labelled, Measured
from models.data.tables.values import kind_of, moments_of, numbers_of

Integers = npt.NDArray[np.int64]

TRAIN: Final = 0
VAL: Final = 1
TEST: Final = 2
#: How many divisions of the groups are drawn, of which the best is taken.
DRAWN_DIVISIONS: Final = 25
#: Sets the draws apart from those of whoever made the table with the same small seed.
_STREAM: Final = 0x7AB1E


def divide(
    table: pa.Table,
    target: Labelled | Measured,
    options: TableOptions,
    *,
    seed: int,
    test_rows: int = 0,
    val_rows: int = 0,
) -> Integers:
    """Every row's side (N,): `TRAIN`, `VAL` or `TEST`.

    Where the table comes with a test split, its last `test_rows` are that; where it comes with a
    validation split, the `val_rows` before them are, and nothing is drawn. Otherwise the test
    rows are drawn first, so that they do not depend on the share that validates.

    Raises:
        DataRefused: the rows are too few to be so divided.
    """
    if val_rows:
        counts = (table.num_rows - val_rows - test_rows, val_rows, test_rows)
        return np.repeat(np.array([TRAIN, VAL, TEST]), counts)
    if test_rows:
        return _with_given_test(table, target, options, seed, test_rows)
    generator = np.random.default_rng((_STREAM, seed))
    if options.time is not None:
        sides = _by_time(table[options.time], options)
    elif options.group is not None:
        sides = _by_group(table[options.group], target, options, generator)
    elif isinstance(target, Labelled):
        _check_class_sizes(target, options)
        sides = _by_class(target.codes, options, generator)
    else:
        sides = _by_class(np.zeros(table.num_rows, dtype=np.int64), options, generator)
    _check_sides(sides, target, options)
    return sides


def _with_given_test(
    table: pa.Table, target: Labelled | Measured, options: TableOptions, seed: int, test_rows: int
) -> Integers:
    rows = table.num_rows - test_rows
    first: Labelled | Measured
    if isinstance(target, Labelled):
        first = replace(target, codes=target.codes[:rows])
    else:
        first = replace(target, numbers=target.numbers[:rows])
    sides = divide(table.slice(0, rows), first, replace(options, test=0.0), seed=seed)
    return np.concatenate([sides, np.full(test_rows, TEST, dtype=np.int64)])


def _by_class(codes: Integers, options: TableOptions, generator: np.random.Generator) -> Integers:
    """Of each class its share is set aside, and of the rest its share validates."""
    counts = np.bincount(codes)
    # Where half of three rows is set aside, two are left: one to train, one to validate.
    test = np.minimum(_counts(counts, options.test), np.maximum(counts - 2, 0))
    val = _counts(counts - test, options.validation)
    shuffled = np.argsort(generator.random(len(codes)))
    order = shuffled[np.argsort(codes[shuffled], kind="stable")]
    place = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    of = codes[order]
    sides = np.empty(len(codes), dtype=np.int64)
    sides[order] = np.select([place < test[of], place < test[of] + val[of]], [TEST, VAL], TRAIN)
    return sides


def _counts(rows: Integers, share: float) -> Integers:
    if not share:
        return np.zeros_like(rows)
    counts = validation_counts(dict(enumerate(rows.tolist())), Fraction(repr(share)))
    return np.array(list(counts.values()), dtype=np.int64)


def _by_group(
    column: pa.ChunkedArray,
    target: Labelled | Measured,
    options: TableOptions,
    generator: np.random.Generator,
) -> Integers:
    """Whole groups, drawn several times: where each side's target is most like that of all."""
    assert options.group is not None
    check_no_null(column, options.group, "group")
    groups = codes_of_values(column)
    sizes = np.bincount(groups)
    _check_enough(len(sizes), options, f"Group column {options.group!r}", "groups")
    if isinstance(target, Labelled):
        codes = target.codes
    else:
        ranks = np.unique(target.numbers, return_inverse=True)[1]
        quarters = np.digitize(ranks, np.quantile(ranks, (0.25, 0.5, 0.75)))
        codes = np.unique(quarters, return_inverse=True)[1]  # Of few values a quarter is empty.
    kinds = int(codes.max()) + 1
    held = np.bincount(groups * kinds + codes, minlength=len(sizes) * kinds)
    held = held.reshape(len(sizes), kinds)  # (groups, classes)
    best, least = np.zeros(len(sizes), dtype=np.int64), np.inf
    for _ in range(DRAWN_DIVISIONS):
        order = np.argsort(generator.random(len(sizes)))
        drawn = np.empty(len(sizes), dtype=np.int64)
        drawn[order] = _cut(sizes[order], options)
        error = _imbalance(drawn, held, options)
        if error < least:
            best, least = drawn, error
    return best[groups]


def codes_of_values(column: pa.ChunkedArray) -> Integers:
    """Each value's place (N,) among the different ones, in the order of their first rows."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    codes: Integers = (
        column.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    )
    return codes


def _cut(sizes: Integers, options: TableOptions) -> Integers:
    """Sides of units in a row, the first train: where the rows so far come nearest to the shares.

    Every side that is asked for gets a unit.
    """
    ends = np.cumsum(sizes)
    rows, units = int(ends[-1]), len(sizes)
    sets = 2 + (options.test > 0)
    learn = rows * (1 - options.test)
    train_end = _nearest(ends, learn * (1 - options.validation), 1, units - sets + 1)
    val_end = _nearest(ends, learn, train_end + 1, units - sets + 2)
    sides = np.full(units, TEST, dtype=np.int64)
    sides[: val_end if options.test else units] = VAL
    sides[:train_end] = TRAIN
    return sides


def _nearest(ends: Integers, rows: float, least: int, most: int) -> int:
    """How many units, from `least` to `most`, have a total nearest to `rows`."""
    off = np.abs(ends[least - 1 : most] - rows)
    return least + int(np.argmin(off))


def _imbalance(sides: Integers, held: Integers, options: TableOptions) -> float:
    """How far the classes' shares of the rows on each side are from those the options ask for."""
    rest = 1 - options.test
    shares = (rest * (1 - options.validation), rest * options.validation, options.test)
    totals = held.sum(axis=0)
    error = 0.0
    for side, share in enumerate(shares):
        error += float(np.abs(held[sides == side].sum(axis=0) / totals - share).sum())
    unlearned = (held[sides == TRAIN].sum(axis=0) == 0).sum()
    return error + 1e3 * float(unlearned)


def _by_time(column: pa.ChunkedArray, options: TableOptions) -> Integers:
    """The latest rows are set aside, those before them validate; one moment is on one side."""
    assert options.time is not None
    moments = moments_in(column, options.time)
    different, unit, sizes = np.unique(moments, return_inverse=True, return_counts=True)
    _check_enough(len(different), options, f"Time column {options.time!r}", "moments")
    return _cut(sizes, options)[unit]


def moments_in(column: pa.ChunkedArray, name: str) -> npt.NDArray[Any]:
    """The values (N,) of the time column `name`, as numbers that rise as time does.

    Raises:
        DataRefused: one is missing, or they are neither dates nor numbers.
    """
    check_no_null(column, name, "time")
    kind, _word = kind_of(column, name, "correct it")
    if kind not in ("date", "number"):
        row_value = str(column[0].as_py())
        raise DataRefused(
            f"Time column {name!r} holds neither dates nor numbers, but {row_value!r} in "
            "row 1; write dates as 2024-12-31 or 2024-12-31 23:59:59."
        )
    if kind == "date":
        moments: npt.NDArray[Any] = moments_of(column).cast(pa.int64()).to_numpy()
        return moments
    return numbers_of(column)


def check_no_null(column: pa.ChunkedArray, name: str, role: str) -> None:
    """Refuse a column that a division needs in every row, and that lacks a value.

    Raises:
        DataRefused: with the first such row.
    """
    missing = pc.is_null(column, nan_is_null=True)
    if pc.any(missing).as_py():
        row = pc.index(missing, True).as_py() + 1
        raise DataRefused(
            f"{role.capitalize()} column {name!r} has no value in row {row}; fill it in, or "
            "remove the row."
        )


def _check_enough(units: int, options: TableOptions, what: str, noun: str) -> None:
    needed = 2 + (options.test > 0)
    if units < needed:
        raise DataRefused(
            f"{what} has {units} different {noun}; {needed} are needed, one for each of "
            f"{_sides(options)}."
        )


def _sides(options: TableOptions) -> str:
    return "training, validation and test" if options.test else "training and validation"


def _check_class_sizes(target: Labelled, options: TableOptions) -> None:
    """Every class has a row for each side."""
    needed = 2 + (options.test > 0)
    counts = np.bincount(target.codes, minlength=len(target.classes))
    rarest = int(np.argmin(counts))
    if counts[rarest] < needed:
        also = " or set test: 0," if options.test and counts[rarest] == 2 else ""
        raise DataRefused(
            f"Class {target.classes[rarest]!r} of target {options.target!r} has {counts[rarest]} "
            f"{options.examples}; {needed} are needed, one for each of {_sides(options)}: "
            f"add {options.examples},{also} "
            "or remove the class."
        )


def _check_sides(sides: Integers, target: Labelled | Measured, options: TableOptions) -> None:
    """Each side has rows, and whatever is judged was learned."""
    rows = np.bincount(sides, minlength=3)
    wanted = rows if options.test else rows[:TEST]
    if not wanted.all():
        raise DataRefused(
            f"The table has {len(sides)} {options.examples}, too few for {_sides(options)}; "
            f"add {options.examples}."
        )
    if isinstance(target, Labelled):
        learned = np.bincount(target.codes[sides == TRAIN], minlength=len(target.classes))
        if not learned.all():
            label = target.classes[int(np.argmin(learned))]
            by = f"time {options.time!r}" if options.time else f"group {options.group!r}"
            raise DataRefused(
                f"Divided by {by}, no training row is of class {label!r} of target "
                f"{options.target!r}; remove its rows, or divide otherwise."
            )
