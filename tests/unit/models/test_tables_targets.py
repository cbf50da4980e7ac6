"""The column to predict: class or number, and what cannot be predicted."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.catalog import DataRefused
from models.data.tables.options import TableOptions
from models.data.tables.prepare import PreparedTable, describe, prepare

N = 100


def prepared(target: Sequence[Any], /, **options: Any) -> PreparedTable:
    table = pa.table({"x": [i * 0.5 for i in range(len(target))], "y": target})
    return prepare(table, TableOptions(**({"target": "y"} | options)), split_seed=0)


def refused(target: Sequence[Any], /, **options: Any) -> str:
    with pytest.raises(DataRefused) as caught:
        prepared(target, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("target", "options", "classes"),
    [
        (["no", "yes"] * 50, {}, ("no", "yes")),
        ([" b", "a "] * 50, {}, ("a", "b")),
        ([True, False] * 50, {}, (False, True)),
        ([7, -3, 5, 5] * 25, {}, (-3, 5, 7)),
        ([7.0, -3.0] * 50, {}, ()),
        ([7.0, -3.0] * 50, {"task": "classes"}, (-3, 7)),
        ([7, -3] * 50, {"task": "number"}, ()),
        ([i % 21 for i in range(N * 2)], {}, ()),
        ([i % 20 for i in range(N)], {}, tuple(range(20))),
        ([i % 20 for i in range(N - 1)], {}, ()),
        ([i % 30 for i in range(N)], {"task": "classes"}, tuple(range(30))),
        (["1.5", "2.5", "4"] * 30, {}, ()),
        (["1", "2"] * 50, {"task": "classes"}, ("1", "2")),
    ],
)
def test_texts_flags_and_integers_of_few_values_are_classes(
    target: Sequence[Any], options: dict[str, Any], classes: tuple[Any, ...]
) -> None:
    table = prepared(target, **options)
    assert table.preparation.target.classes == classes
    assert list(map(type, table.preparation.target.classes)) == list(map(type, classes))
    assert table.shape.classes == len(classes)
    assert table.shape.labels == (0, max(0, len(classes) - 1))
    assert table.train.target.dtype == (np.int64 if classes else np.float32)


@pytest.mark.parametrize("labels", [["a", "b"], [4, 9]])
def test_labels_stored_as_a_dictionary_are_what_it_holds(labels: list[Any]) -> None:
    halves = [pa.array(part * 25).dictionary_encode() for part in (labels, labels[::-1])]
    table = prepared(pa.chunked_array(halves))
    assert table.preparation.target.classes == tuple(labels)


def test_codes_are_the_labels_places() -> None:
    table = prepared(["b" if i % 3 else "a" for i in range(N)])
    train = table.train.inputs[:, 0] * table.preparation.columns[0].parts[0].std
    rows = np.rint((train + table.preparation.columns[0].parts[0].mean) * 2).astype(int)
    assert table.train.target.tolist() == [int(row % 3 > 0) for row in rows.tolist()]


def test_numbers_are_standardised_and_come_back_in_their_unit() -> None:
    table = prepared([1000.0 + i * i for i in range(N)])
    assert table.train.target.mean() == pytest.approx(0, abs=1e-5)
    assert table.train.target.std() == pytest.approx(1, abs=1e-5)
    target = table.preparation.target
    back = table.val.target.astype(np.float64) * target.std + target.mean
    assert all(round(value - 1000) in {i * i for i in range(N)} for value in back.tolist())


def test_the_target_is_described_first() -> None:
    assert describe(prepared([True, False] * 50))[0] == {
        "column": "y",
        "type": "flag",
        "missing": 0.0,
        "used": "target: 2 classes, False, True",
        "note": "",
    }
    assert describe(prepared([i * 0.5 for i in range(N)]))[0]["used"] == "target: a number"


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (
            [0.5, None, float("nan"), 1.0] * 25,
            {},
            "Target 'y' has no value in 50 of 100 rows, the first is row 2; fill them in or "
            "remove the rows.",
        ),
        (
            [0.5, 1.5, float("inf"), 1.0] * 25,
            {},
            "Target 'y' has no value in 25 of 100 rows, the first is row 3; fill them in or "
            "remove the rows.",
        ),
        (
            ["a", "b", " "] * 30,
            {},
            "Target 'y' has no value in 30 of 90 rows, the first is row 3; fill them in or "
            "remove the rows.",
        ),
        (
            ["only"] * N,
            {},
            "Target 'y' has one value, 'only', in all rows; a class is only learned beside "
            "another: name another target, or add rows.",
        ),
        (
            [2.5] * N,
            {},
            "Target 'y' is 2.5 in all rows, so that there is nothing to learn; name another "
            "target.",
        ),
        (
            [f"n{i:03}" for i in range(N)],
            {},
            "Target 'y' has 100 different values in 100 rows, such as 'n000', which are no "
            "classes: name another target.",
        ),
        (
            [*map(str, range(N - 1)), "many"],
            {},
            "Column 'y' holds numbers but for 1 of its values; the first is 'many' in row 100: "
            "correct it, or set task: classes if each text is a class.",
        ),
        (
            ["low", "high"] * 50,
            {"task": "number"},
            "Target 'y' is 'low' in row 1, which is no number; correct it, set task: classes, or "
            "name another target.",
        ),
        (
            [1.0, 2.0, 2.5, 1.0] * 25,
            {"task": "classes"},
            "Target 'y' is 2.5 in row 3, which names no class; set task: number.",
        ),
        (
            [date(2020, 1, 1 + i % 5) for i in range(N)],
            {},
            "Target 'y' is '2020-01-01' in row 1, which is no number; correct it, set task: "
            "classes, or name another target.",
        ),
        (
            [(-1) ** i * 1e300 for i in range(N)],
            {"test": 0},
            "Target 'y' holds a number of size 1e+300, too large to learn; give it in a larger "
            "unit.",
        ),
        (
            ["a", "b"] * 49 + ["c", "c"],
            {},
            "Class 'c' of target 'y' has 2 rows; 3 are needed, one for each of training, "
            "validation and test: add rows, or set test: 0, or remove the class.",
        ),
        (
            ["a", "b"] * 49 + ["c"],
            {"test": 0},
            "Class 'c' of target 'y' has 1 rows; 2 are needed, one for each of training and "
            "validation: add rows, or remove the class.",
        ),
        (
            [1.0, 2.0],
            {},
            "The table has 2 rows, too few for training, validation and test; add rows.",
        ),
    ],
)
def test_what_cannot_be_predicted_is_refused(
    target: Sequence[Any], options: dict[str, Any], message: str
) -> None:
    assert refused(target, **options) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "Y"}, "target names column 'Y', which the table does not have; did you mean "),
        ({"target": "qq"}, "target names column 'qq', which the table does not have; it has 'x', "),
        ({"group": "custmer"}, "group names column 'custmer', which the table does not have; it "),
        ({"time": "xx"}, "time names column 'xx', which the table does not have; did you mean 'x'"),
        ({"ignore": ("zz",)}, "ignore names column 'zz', which the table does not have; it has "),
        ({"categories": ("zz",)}, "categories names column 'zz', which the table does not have; "),
        ({"group": "y"}, "group = 'y' is also the target; name another column."),
        ({"time": "y"}, "time = 'y' is also the target; name another column."),
        ({"ignore": ("y",)}, "ignore lists 'y', which is the target; remove it."),
        ({"categories": ("y",)}, "categories lists 'y', which is the target; remove it."),
        (
            {"ignore": ("x",), "categories": ("x",)},
            "ignore and categories both list 'x'; remove it from one.",
        ),
        ({"group": "x", "time": "x"}, "group = 'x' and time = 'x' both divide the rows; keep one."),
        ({"test": 0.9}, "test = 0.9 must be a share from 0 to 0.5."),
        ({"test": -0.1}, "test = -0.1 must be a share from 0 to 0.5."),
        ({"validation": 0.0}, "validation = 0.0 must be a share above 0, to 0.5."),
        ({"scaling": "log"}, "scaling = 'log' must be one of standard, quantile, yeo-johnson."),
        ({"task": "rank"}, "task = 'rank' must be one of auto, classes, number."),
    ],
)
def test_options_that_do_not_fit_the_table_are_refused(
    options: dict[str, Any], message: str
) -> None:
    assert refused([1.0, 2.0] * 50, **options).startswith(message)
