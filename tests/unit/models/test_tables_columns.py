"""What becomes of a column: its kind, its statistics, and why it is left out."""

import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from models.catalog import DataRefused
from models.data.tables.bending import bent, power_of, raised, size_of
from models.data.tables.columns import Column
from models.data.tables.options import TableOptions
from models.data.tables.preparation import TablePreparation
from models.data.tables.prepare import PreparedTable, describe, prepare

N = 100


def prepared(values: Sequence[Any] | pa.Array, **options: Any) -> PreparedTable:
    """A table of `values` as column x beside a useful number; y is a number."""
    beside = [float(i % 7) for i in range(N)]
    table = pa.table({"x": values, "beside": beside, "y": [i * 0.5 for i in range(N)]})
    return prepare(table, TableOptions(target="y", **options), split_seed=0)


def column(values: Sequence[Any] | pa.Array, **options: Any) -> Column:
    return prepared(values, **options).preparation.columns[0]


@pytest.mark.parametrize(
    ("value", "kind", "type_"),
    [
        (lambda i: i % 9, "number", "integer"),
        (lambda i: i / 9, "number", "number"),
        (lambda i: Decimal(i) / 8, "number", "number"),
        (lambda i: f" {i / 8} ", "number", "text of numbers"),
        (lambda i: bool(i % 2), "flag", "flag"),
        (lambda i: date(2020, 1, 1) + timedelta(days=i), "date", "date"),
        (lambda i: datetime(2020, 1, 1, i % 24), "date", "date and time"),
        (lambda i: f"2020-02-{i % 28 + 1:02}", "date", "text of dates"),
        (lambda i: f"2020-02-{i % 3 + 28}", "category", "text"),
        (lambda i: time(i % 24), "number", "time of day"),
        (lambda i: timedelta(hours=i), "number", "duration"),
        (lambda i: "abc"[i % 3], "category", "text"),
        (lambda i: b"abc"[i % 3 : i % 3 + 1], "category", "text"),
    ],
)
def test_a_columns_kind_is_told_from_its_values(value: Any, kind: str, type_: str) -> None:
    found = column([value(i) for i in range(N)])
    assert (found.kind, found.type, found.missing) == (kind, type_, 0.0)


def test_dictionaries_are_what_they_hold() -> None:
    texts = pa.array(["ab"[i % 2] for i in range(N)]).dictionary_encode()
    numbers = pa.array([i % 5 for i in range(N)]).dictionary_encode()
    assert column(texts).categories == ("a", "b")
    assert column(numbers).kind == "number"


def test_numbers_are_standardised_by_the_training_rows() -> None:
    table = prepared([float(i * i) for i in range(N)])
    at = table.preparation.features.index("x")
    train = table.train.inputs[:, at]
    assert train.mean() == pytest.approx(0, abs=1e-6)
    assert train.std() == pytest.approx(1, abs=1e-6)


def test_a_missing_number_becomes_the_median_and_is_told() -> None:
    table = prepared([None if i % 10 == 0 else float(i**2) for i in range(N)])
    (part,) = table.preparation.columns[0].parts
    assert table.preparation.features == ("x", "x: missing", "beside")
    missing = table.train.inputs[:, 1] == 1
    present = table.train.inputs[~missing, 0] * part.std + part.mean
    assert part.fill == pytest.approx(np.median(present))
    assert part.mean == pytest.approx(present.mean())
    assert (table.train.inputs[missing, 0] == np.float32((part.fill - part.mean) / part.std)).all()


def test_infinite_numbers_are_missing() -> None:
    found = column([float("inf") if i % 2 else float(i) for i in range(N)])
    assert 0.3 < found.missing < 0.7
    assert found.tells_missing
    assert np.isfinite(prepared([float("inf")] + [1.0, 2.0] * 49 + [3.0]).train.inputs).all()


def test_a_constant_that_is_sometimes_missing_tells_only_that() -> None:
    table = prepared([None if i % 3 else 4.0 for i in range(N)])
    assert table.preparation.features == ("x: missing", "beside")
    assert describe(table)[1]["used"] == "constant and whether it is missing"


def test_a_date_gives_the_parts_that_differ() -> None:
    start = datetime(2019, 12, 25)
    table = prepared([start + timedelta(days=i) for i in range(N)])
    names = [f"x: {part}" for part in ("year", "month", "day", "weekday", "elapsed days")]
    assert list(table.preparation.features) == [*names, "beside"]
    assert describe(table)[1]["used"] == "date: year, month, day, weekday, elapsed days"


def test_dates_give_calendar_values() -> None:
    zoned = pa.array([datetime(2020, 2, 29, 23, 30)] * N, pa.timestamp("ns", tz="UTC"))
    moments = zoned.cast(pa.timestamp("us")).to_pylist()
    moments[1::2] = [datetime(1969, 12, 31, 1)] * (N // 2)
    parts = {part.name: part for part in column(moments).parts}
    table = prepared(moments)
    first = dict(zip(table.preparation.features, table.train.inputs.max(axis=0), strict=True))
    raw = {n: first[f"x: {n}"] * p.std + p.mean for n, p in parts.items()}
    assert raw == pytest.approx(
        {"year": 2020, "month": 12, "day": 31, "weekday": 5, "hour": 23, "elapsed days": 18321},
        rel=1e-4,
    )


def test_the_frequent_texts_are_categories_and_rare_ones_are_unknown() -> None:
    values = ["often"] * 60 + ["less"] * 30 + [f"rare{i}" for i in range(10)]
    table = prepared(values)
    found = table.preparation.columns[0]
    assert found.categories == ("often", "less")
    assert found.note.endswith("rarer values count as unknown")
    assert table.preparation.categories == (3,)
    assert set(table.train.inputs[:, -1]) == {0.0, 1.0, 2.0}


def test_a_missing_text_has_the_code_of_the_unknown() -> None:
    table = prepared([None if i % 2 else "ab"[i % 4 // 2] for i in range(N)])
    assert set(table.train.inputs[:, -1]) == {0.0, 1.0, 2.0}


def test_numbers_listed_as_categories_are_categories() -> None:
    found = column([float(10 * (i % 3)) for i in range(N)], categories=("x",))
    assert sorted(found.categories) == ["0", "10", "20"]


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([3] * N, "all training rows have one value"),
        (["a"] * N, "all training rows have one value"),
        (pa.nulls(N), "no row has a value"),
        ([""] * N, "no row has a value"),
        ([float("nan")] * N, "no training row has a value"),
        (list(range(7, N + 7)), "numbers the rows"),
        ([f"name {i}" for i in range(N)], "64 different texts in 64 rows: names or sentences"),
        ([f"{i // 2} x" for i in range(N)], "no value has 5 training rows"),
        ([[1, 2]] * N, "list<item: int64> is neither number, date nor text"),
        ([b"\xff"] * N, "bytes is neither number, date nor text"),
    ],
)
def test_what_teaches_nothing_is_left_out_with_the_reason(values: Any, note: str) -> None:
    found = prepared(values)
    assert found.preparation.columns[0].note == note
    assert found.preparation.features == ("beside",)
    assert describe(found)[1]["used"] == "left out"


def test_ignored_columns_are_shown_as_such() -> None:
    table = prepared([1.5] * N, ignore=("x",))
    assert [(d["column"], d["note"]) for d in describe(table)[1:]] == [
        ("beside", ""),
        ("x", "listed under ignore"),
    ]


def test_integers_that_differ_but_lie_apart_are_numbers() -> None:
    assert column([i * i for i in range(N)]).kind == "number"


def refused(values: Any, **options: Any) -> str:
    with pytest.raises(DataRefused) as caught:
        prepared(values, **options)
    return str(caught.value)


def test_text_in_a_numeric_column_is_refused_with_its_first_row() -> None:
    values: list[Any] = [str(i) for i in range(N)]
    values[40], values[70], values[3] = "forty", "?", "1,000"
    assert refused(values) == (
        "Column 'x' holds numbers but for 2 of its values; the first is '1,000' in row 4: "
        "correct it, or list the column under ignore."
    )


def test_text_among_numbers_is_a_category_where_it_is_listed_or_common() -> None:
    values = [str(i % 5) for i in range(N)]
    values[9] = "other"
    assert column(values, categories=("x",)).kind == "category"
    assert column([*values[:80], *["none"] * 20]).kind == "category"


@pytest.mark.parametrize("scaling", ["standard", "quantile", "yeo-johnson"])
def test_numbers_too_large_to_learn_from_are_refused(scaling: str) -> None:
    assert refused([-1e300 if i % 2 else float(i) for i in range(N)], scaling=scaling) == (
        "Column 'x' holds a number of size 1e+300, too large to learn from; correct it, or list "
        "the column under ignore."
    )


def test_a_table_without_a_usable_column_is_refused_with_the_reasons() -> None:
    assert refused([1.0] * N, ignore=("beside",)) == (
        "No column is left to learn 'y' from ('x': all training rows have one value); "
        "add columns, or ignore fewer."
    )


def test_quantile_scaling_draws_long_tails_in() -> None:
    values = [float(np.exp(i / 8)) for i in range(N)]
    plain, drawn_in = (prepared(values, scaling=how) for how in ("standard", "quantile"))
    assert np.abs(plain.train.inputs[:, 0]).max() > 4
    inputs = drawn_in.train.inputs[:, 0]
    assert np.abs(inputs).max() < 3
    assert inputs.mean() == pytest.approx(0, abs=1e-5)
    assert inputs.std() == pytest.approx(1, abs=1e-5)
    rising = [-1e300, *values, 1e300]
    beside, y = [0.0] * len(rising), [0.0] * len(rising)
    scores = drawn_in.preparation.inputs(pa.table({"x": rising, "beside": beside, "y": y}))[:, 0]
    assert (np.diff(scores) >= 0).all()
    assert np.abs(scores).max() < 3


def test_quantile_scaling_gives_equal_values_the_score_of_their_middle() -> None:
    table = prepared([0.0 if i % 2 else float(i - 50) for i in range(N)], scaling="quantile")
    (part,) = table.preparation.columns[0].parts
    scores = {p: float(s) for p, s in zip(part.knots, bent_scores(part.knots), strict=True)}
    assert abs(scores[0.0]) < 0.3
    assert len(part.knots) == 128


def bent_scores(knots: tuple[float, ...]) -> list[float]:
    scores: list[float] = bent(np.array(knots), knots).tolist()
    return scores


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_yeo_johnsons_power_is_the_likeliest_whatever_the_unit(unit: float) -> None:
    random = np.random.default_rng(0)
    for values in (
        random.lognormal(sigma=1.5, size=500),
        -random.gamma(1.0, size=500),
        random.normal(size=500),
        random.normal(size=500) ** 3,
    ):
        size = size_of(values * unit)
        assert size == pytest.approx(float(np.median(np.abs(values))) * unit)
        found = power_of(values * unit / size)
        _, expected = stats.yeojohnson(values * unit / size)
        assert found == pytest.approx(expected, abs=1e-3)
        np.testing.assert_allclose(
            raised(values, found), stats.yeojohnson(values, found), rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("power", [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0])
def test_a_power_keeps_signs_and_order_to_the_ends_of_the_floats(power: float) -> None:
    values = np.array([-1e300, -7.0, -1e-12, 0.0, 1e-12, 3.0, 1e300])
    found = raised(values, power)
    assert np.isfinite(found).all()
    assert (np.sign(found) == np.sign(values)).all()
    assert (np.diff(found) > 0).all()


def test_yeo_johnson_takes_whatever_a_float_can_be() -> None:
    for values in ([1e-300 * (i + 1) for i in range(N - 1)] + [1e90], [1.0, -1e99] * (N // 2)):
        found = prepared(values, scaling="yeo-johnson")
        assert np.isfinite(found.train.inputs).all()
        assert -1 <= found.preparation.columns[0].parts[0].power <= 3


def test_yeo_johnson_draws_long_tails_in_and_takes_raw_rows_again() -> None:
    values = [float(np.exp(i / 8)) for i in range(N)]
    table = prepared(values, scaling="yeo-johnson")
    inputs = table.train.inputs[:, 0]
    assert np.abs(inputs).max() < 2.5
    assert inputs.mean() == pytest.approx(0, abs=1e-5)
    assert inputs.std() == pytest.approx(1, abs=1e-5)
    preparation = TablePreparation.from_json(json.loads(json.dumps(table.preparation.to_json())))
    assert preparation == table.preparation
    beside, y = [0.0] * N, [0.0] * N
    rows = preparation.inputs(pa.table({"x": values, "beside": beside, "y": y}))[:, 0]
    assert (np.diff(rows) > 0).all()
    assert {*inputs.tolist()} <= {*rows.tolist()}


@pytest.mark.parametrize("scaling", ["quantile", "yeo-johnson"])
def test_scaling_bends_neither_flags_nor_dates(scaling: str) -> None:
    for values in (
        [bool(i % 2) for i in range(N)],
        [datetime(2020, 1, 1, i % 24) for i in range(N)],
    ):
        found = column(values, scaling=scaling)
        assert [(part.knots, part.power) for part in found.parts] == [((), 1.0)]
