"""Rows are divided by class, by group or by time, each on one side, and always the same way."""

from collections import Counter
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.catalog import DataRefused
from models.data.stratified import validation_counts
from models.data.tables.division import TEST, TRAIN, VAL, Integers, divide
from models.data.tables.options import TableOptions
from models.data.tables.targets import read_target

N = 200


def sides_of(columns: dict[str, Any], *, seed: int = 0, **options: Any) -> Integers:
    table = pa.table(columns)
    chosen = TableOptions(**({"target": "y"} | options))
    return divide(table, read_target(table["y"], chosen), chosen, seed=seed)


def refused(columns: dict[str, Any], **options: Any) -> str:
    with pytest.raises(DataRefused) as caught:
        sides_of(columns, **options)
    return str(caught.value)


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(3, 40), min_size=2, max_size=6),
    test=st.sampled_from([0.0, 0.1, 0.2, 0.5]),
    validation=st.sampled_from([0.05, 0.2, 0.5]),
    seed=st.integers(0, 3),
)
def test_every_class_gives_its_share_to_each_side(
    sizes: list[int], test: float, validation: float, seed: int
) -> None:
    codes = np.repeat(np.arange(len(sizes)), sizes)
    labels = [f"c{code}" for code in codes]
    sides = sides_of({"y": labels}, seed=seed, test=test, validation=validation)
    counts = Counter(zip(codes.tolist(), sides.tolist(), strict=True))
    tested = validation_counts(dict(enumerate(sizes)), Fraction(str(test))) if test else {}
    tested = {code: min(rows, sizes[code] - 2) for code, rows in tested.items()}
    rest = {code: size - tested.get(code, 0) for code, size in enumerate(sizes)}
    validated = validation_counts(rest, Fraction(str(validation)))
    for code in rest:
        assert counts[code, TEST] == tested.get(code, 0)
        assert counts[code, VAL] == validated[code] > 0
        assert counts[code, TRAIN] == rest[code] - validated[code] > 0


def test_numbers_are_divided_by_share() -> None:
    sides = sides_of({"y": [i * 0.5 for i in range(N)]})
    assert np.bincount(sides).tolist() == [128, 32, 40]


def test_the_division_follows_from_its_seed() -> None:
    columns = {"y": ["a", "b"] * 100, "g": [i // 4 for i in range(N)]}
    for options in ({}, {"group": "g"}):
        first, again = (sides_of(columns, seed=1, **options) for _ in range(2))
        assert (first == again).all()
        assert (first != sides_of(columns, seed=2, **options)).any()


def test_what_is_set_aside_does_not_depend_on_what_validates() -> None:
    columns = {"y": ["a", "b"] * 100}
    few, many = (sides_of(columns, validation=share) for share in (0.1, 0.5))
    assert ((few == TEST) == (many == TEST)).all()


def test_the_division_is_not_that_of_numbers_drawn_with_the_same_seed() -> None:
    drawn = np.random.default_rng(0).random(N)
    sides = sides_of({"y": drawn.tolist()})
    assert 0.3 < drawn[sides == TEST].mean() < 0.7


@settings(deadline=None, max_examples=30)
@given(
    groups=st.lists(st.integers(0, 30), min_size=60, max_size=200),
    test=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 3),
)
def test_rows_of_one_group_are_on_one_side(groups: list[int], test: float, seed: int) -> None:
    columns = {"y": [i * 0.5 for i in range(len(groups))], "g": groups}
    if len(set(groups)) < 3:
        return
    sides = sides_of(columns, seed=seed, group="g", test=test)
    on = {(group, side) for group, side in zip(groups, sides.tolist(), strict=True)}
    assert len(on) == len(set(groups))
    assert set(sides.tolist()) == ({TRAIN, VAL, TEST} if test else {TRAIN, VAL})


def test_groups_stored_as_a_dictionary_stay_together() -> None:
    halves = [pa.array(part * 10).dictionary_encode() for part in (["a", "b", "c"], ["c", "d"])]
    groups = pa.chunked_array(halves)
    sides = sides_of({"y": [i * 0.5 for i in range(50)], "g": groups}, group="g", test=0)
    on = set(zip(groups.to_pylist(), sides.tolist(), strict=True))
    assert len(on) == 4


def test_groups_are_drawn_so_that_classes_are_alike_on_all_sides() -> None:
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 60, N * 5)
    labels = np.where(groups % 5 == 0, "rare", "common")
    sides = sides_of({"y": labels, "g": groups}, group="g")
    shares = [(labels[sides == side] == "rare").mean() for side in (TRAIN, VAL, TEST)]
    assert max(shares) - min(shares) < 0.1
    assert np.bincount(sides) / len(sides) == pytest.approx([0.64, 0.16, 0.2], abs=0.05)


@pytest.mark.parametrize(
    "moments",
    [
        [date(2020, 1, 1) + timedelta(days=i // 3) for i in range(N)],
        [datetime(2020, 1, 1) + timedelta(minutes=i // 3) for i in range(N)],
        [str(date(2020, 1, 1) + timedelta(days=i // 3)) for i in range(N)],
        [i // 3 for i in range(N)],
        [1e9 + i // 3 for i in range(N)],
    ],
)
def test_the_latest_rows_are_set_aside_and_one_moment_is_on_one_side(moments: list[Any]) -> None:
    order = np.random.default_rng(0).permutation(N)
    columns = {"y": [i * 0.5 for i in range(N)], "t": [moments[i] for i in order]}
    sides = sides_of(columns, time="t")
    in_time = sides[np.argsort(order)]
    assert (np.diff(in_time) >= 0).all()
    assert len(set(zip(moments, in_time.tolist(), strict=True))) == len(set(moments))
    assert np.bincount(sides) / N == pytest.approx([0.64, 0.16, 0.2], abs=0.02)


def test_a_division_by_time_without_a_test_split_has_none() -> None:
    sides = sides_of({"y": [0.0, 1.0, 2.0, 3.0], "t": [3, 1, 2, 0]}, time="t", test=0)
    assert sides.tolist() == [VAL, TRAIN, TRAIN, TRAIN]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (
            {"y": ["a", "b"] * 50, "g": ["one", "two"] * 50},
            {"group": "g"},
            "Group column 'g' has 2 different groups; 3 are needed, one for each of training, "
            "validation and test.",
        ),
        (
            {"y": ["a", "b"] * 50, "g": ["one"] * 100},
            {"group": "g", "test": 0},
            "Group column 'g' has 1 different groups; 2 are needed, one for each of training and "
            "validation.",
        ),
        (
            {"y": ["a", "b"] * 2, "g": ["one", "two", None, "three"]},
            {"group": "g"},
            "Group column 'g' has no value in row 3; fill it in, or remove the row.",
        ),
        (
            {"y": ["a", "b"] * 2, "t": [1.0, 2.0, 3.0, float("nan")]},
            {"time": "t"},
            "Time column 't' has no value in row 4; fill it in, or remove the row.",
        ),
        (
            {"y": ["a", "b"] * 2, "t": [1, 1, 2, 2]},
            {"time": "t"},
            "Time column 't' has 2 different moments; 3 are needed, one for each of training, "
            "validation and test.",
        ),
        (
            {"y": ["a", "b"] * 2, "t": ["soon", "later", "now", "never"]},
            {"time": "t"},
            "Time column 't' holds neither dates nor numbers, but 'soon' in row 1; write dates as "
            "2024-12-31 or 2024-12-31 23:59:59.",
        ),
        (
            {"y": ["a"] * 5 + ["b"] * 5, "t": list(range(10))},
            {"time": "t", "test": 0.5},
            "Divided by time 't', no training row is of class 'b' of target 'y'; remove its rows, "
            "or divide otherwise.",
        ),
        (
            {"y": ["a"] * 6 + ["b"] * 3, "g": [0, 0, 1, 1, 2, 2, 3, 3, 3]},
            {"group": "g", "test": 0.5},
            None,
        ),
    ],
)
def test_rows_that_cannot_be_so_divided_are_refused(
    columns: dict[str, Any], options: dict[str, Any], message: str | None
) -> None:
    if message is None:
        sides = sides_of(columns, **options)
        assert set(sides[6:].tolist()) == {TRAIN}
    else:
        assert refused(columns, **options) == message


@pytest.mark.parametrize("target", [["a", "b"] * 50, [i * 0.5 for i in range(100)]])
def test_a_test_split_that_is_given_is_kept(target: list[Any]) -> None:
    table, options = pa.table({"y": target}), TableOptions(target="y", test=0.5)
    sides = divide(table, read_target(table["y"], options), options, seed=0, test_rows=20)
    assert np.bincount(sides).tolist() == [64, 16, 20]
    assert set(sides[-20:].tolist()) == {TEST}


def test_a_class_that_only_the_given_test_split_has_is_refused() -> None:
    table, options = pa.table({"y": ["a", "b"] * 5 + ["c"] * 3}), TableOptions(target="y")
    with pytest.raises(DataRefused, match=r"Class 'c' of target 'y' has 0 rows; 2 are needed"):
        divide(table, read_target(table["y"], options), options, seed=0, test_rows=3)
