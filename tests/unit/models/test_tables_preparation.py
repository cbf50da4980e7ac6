"""What was learned of a table takes raw rows, also new ones, and survives its way through JSON."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv as pacsv
from pyarrow import parquet

from models.catalog import DataRefused
from models.data.tables.bundled import bundled_table
from models.data.tables.division import divide
from models.data.tables.options import SCALINGS, TableOptions
from models.data.tables.preparation import FARTHEST, TablePreparation
from models.data.tables.prepare import PreparedTable, prepare, prepare_table
from models.data.tables.targets import read_target

N = 120
START = datetime(2021, 3, 1)
OPTIONS = TableOptions(target="y", categories=("zip",))


def mixed(seed: int = 0) -> pa.Table:
    """A column of each kind, with holes."""
    generator = np.random.default_rng(seed)
    holes = generator.random((3, N)) < 0.2

    def holed(values: list[Any], at: int) -> list[Any]:
        return [None if hole else value for value, hole in zip(values, holes[at], strict=True)]

    return pa.table(
        {
            "size": holed(generator.normal(5, 3, N).tolist(), 0),
            "kind": holed(generator.choice(["a", "b", "c"], N).tolist(), 1),
            "sold": holed((generator.random(N) < 0.5).tolist(), 2),
            "at": [START + timedelta(hours=float(h)) for h in generator.integers(0, 9000, N)],
            "zip": generator.choice(["01067", "20095"], N).tolist(),
            "y": generator.choice(["no", "yes"], N).tolist(),
        }
    )


@pytest.fixture(scope="module")
def prepared() -> PreparedTable:
    return prepare(mixed(), OPTIONS, split_seed=0)


def test_numbers_come_first_and_categories_last(prepared: PreparedTable) -> None:
    preparation = prepared.preparation
    assert preparation.features[-2:] == ("kind", "zip")
    assert preparation.categories == prepared.shape.categories == (4, 3)
    assert prepared.shape.input_shape == (len(preparation.features),)
    assert preparation.numbers == len(preparation.features) - 2
    codes = prepared.train.inputs[:, -2:]
    assert (codes == codes.astype(int)).all()
    assert codes.max(axis=0).tolist() == [3.0, 2.0]


def test_shape_and_splits_agree(prepared: PreparedTable) -> None:
    shape, test = prepared.shape, prepared.test
    assert test is not None
    assert (shape.train_rows, shape.val_rows, shape.test_rows) == (
        len(prepared.train),
        len(prepared.val),
        len(test),
    )
    assert sum((shape.train_rows, shape.val_rows, shape.test_rows)) == N
    assert (shape.kind, shape.classes, shape.labels) == ("table", 2, (0, 1))
    assert {rows.inputs.dtype for rows in (prepared.train, prepared.val, test)} == {
        np.dtype(np.float32)
    }


def test_without_a_test_share_there_is_no_test_split() -> None:
    prepared = prepare(mixed(), TableOptions(target="y", test=0), split_seed=0)
    assert prepared.test is None
    assert prepared.shape.test_rows == 0


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), split_seed=st.integers(0, 5))
def test_what_is_learned_is_that_of_the_training_rows_alone(seed: int, split_seed: int) -> None:
    table = mixed(seed)
    sides = divide(table, read_target(table["y"], OPTIONS), OPTIONS, seed=split_seed)
    other = mixed(seed + 1)
    spoilt = pa.table(
        {
            name: [
                theirs if side else ours
                for ours, theirs, side in zip(
                    table[name].to_pylist(), other[name].to_pylist(), sides, strict=True
                )
            ]
            for name in table.column_names
            if name != "y"
        }
        | {"y": table["y"]}
    )
    before = prepare(table, OPTIONS, split_seed=split_seed)
    after = prepare(spoilt, OPTIONS, split_seed=split_seed)
    assert before.preparation == after.preparation
    assert (before.train.inputs == after.train.inputs).all()
    assert before.fingerprint != after.fingerprint


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), scaling=st.sampled_from(SCALINGS))
def test_a_preparation_survives_its_way_through_json(seed: int, scaling: str) -> None:
    table = mixed(seed)
    preparation = prepare(table, replace(OPTIONS, scaling=scaling), split_seed=0).preparation
    again = TablePreparation.from_json(json.loads(json.dumps(preparation.to_json())))
    assert again == preparation
    assert (again.inputs(table) == preparation.inputs(table)).all()


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "iris", "diabetes"])
def test_bundled_tables_are_prepared_whole(name: str) -> None:
    table = bundled_table(name)
    prepared = prepare(table, TableOptions(target="target"), split_seed=0)
    target = prepared.preparation.target
    assert prepared.shape.input_shape == (table.num_columns - 1,)
    assert prepared.train.inputs.mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert prepared.train.inputs.std(axis=0) == pytest.approx(1, abs=1e-5)
    assert bool(target.classes) == (name != "diabetes")
    again = TablePreparation.from_json(json.loads(json.dumps(prepared.preparation.to_json())))
    assert again == prepared.preparation


def test_another_document_is_no_preparation() -> None:
    with pytest.raises(ValueError, match="no preparation of a table, but None"):
        TablePreparation.from_json({})


def test_rows_from_csv_parquet_and_memory_are_prepared_alike(tmp_path: Path) -> None:
    table = mixed()
    parquet.write_table(table, tmp_path / "t.parquet")
    pacsv.write_csv(table, tmp_path / "t.csv")
    inputs = [
        prepare_table(tmp_path / name, OPTIONS, split_seed=0).preparation.inputs(rows)
        for name in ("t.parquet", "t.csv")
        for rows in (table, tmp_path / "t.csv", tmp_path / "t.parquet")
    ]
    assert all((other == inputs[0]).all() for other in inputs)
    assert prepare_table(tmp_path / "t.csv", OPTIONS, split_seed=0).train.target.tolist() == (
        prepare(table, OPTIONS, split_seed=0).train.target.tolist()
    )


def test_raw_rows_need_no_target_and_may_have_more_columns(
    prepared: PreparedTable, tmp_path: Path
) -> None:
    table = mixed()
    expected = prepared.preparation.inputs(table)
    other = table.drop(["y"]).append_column("more", pa.array(["text"] * N))
    assert (prepared.preparation.inputs(other) == expected).all()
    pacsv.write_csv(other, tmp_path / "new.csv")
    assert (prepared.preparation.inputs(tmp_path / "new.csv") == expected).all()


def test_a_single_row_is_read_as_the_training_rows_were(
    prepared: PreparedTable, tmp_path: Path
) -> None:
    """One row's values alone would tell other types: all missing, a number, a flag."""
    path = tmp_path / "one.csv"
    path.write_text("zip,sold,kind,at,size\n01067,,true,2021-03-05,\n")
    (row,) = prepared.preparation.inputs(path).tolist()
    named = dict(zip(prepared.preparation.features, row, strict=True))
    zips = next(c for c in prepared.preparation.columns if c.name == "zip").categories
    assert (named["size: missing"], named["sold: missing"]) == (1.0, 1.0)
    assert (named["kind"], named["zip"]) == (0.0, zips.index("01067") + 1.0)


def test_an_outlier_stays_a_number_one_can_count_with(prepared: PreparedTable) -> None:
    table = mixed().set_column(0, "size", pa.array([1e300, -1e300] * (N // 2)))
    inputs = prepared.preparation.inputs(table)[:, 0]
    assert inputs[:2].tolist() == [FARTHEST, -FARTHEST]


def test_an_unknown_category_has_code_zero(prepared: PreparedTable) -> None:
    table = mixed().set_column(1, "kind", pa.array(["never seen"] * N))
    assert (prepared.preparation.inputs(table)[:, -2] == 0).all()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "size",
            ["1.5"] * (N - 1) + ["large"],
            "Column 'size' is 'large' in row 120, but a number in the rows that were trained "
            "with; correct it.",
        ),
        (
            "at",
            ["2021-03-01"] * 2 + ["soon"] * (N - 2),
            "Column 'at' is 'soon' in row 3, but a date in the rows that were trained with; "
            "correct it.",
        ),
        (
            "at",
            ["2021-03-01"] * 2 + ["2021-02-30"] * (N - 2),
            "Column 'at' is '2021-02-30' in row 3, but a date in the rows that were trained "
            "with; correct it.",
        ),
        (
            "at",
            [True] * N,
            "Column 'at' is 'True' in row 1, but a date in the rows that were trained with; "
            "correct it.",
        ),
        (
            "sold",
            ["true", "False", "perhaps"] * (N // 3),
            "Column 'sold' is 'perhaps' in row 3, but a flag in the rows that were trained with; "
            "correct it.",
        ),
        (
            "size",
            [None] + [START] * (N - 1),
            "Column 'size' is '2021-03-01 00:00:00' in row 2, but a number in the rows that were "
            "trained with; correct it.",
        ),
    ],
)
def test_a_raw_value_of_another_kind_is_refused_with_its_row(
    prepared: PreparedTable, column: str, values: list[Any], message: str
) -> None:
    table = mixed()
    table = table.set_column(table.column_names.index(column), column, pa.array(values))
    with pytest.raises(DataRefused) as caught:
        prepared.preparation.inputs(table)
    assert str(caught.value) == message


def test_an_absent_column_is_refused_with_the_nearest_name(
    prepared: PreparedTable, tmp_path: Path
) -> None:
    table = mixed().rename_columns(["Size", "kind", "sold", "at", "zip", "y"])
    pacsv.write_csv(table, tmp_path / "t.csv")
    for rows in (table, tmp_path / "t.csv"):
        with pytest.raises(DataRefused) as caught:
            prepared.preparation.inputs(rows)
        assert str(caught.value) == (
            "The network was trained with column 'size', which the table does not have; did you "
            "mean 'Size'?"
        )


def test_fingerprints_tell_contents_options_and_division_apart(prepared: PreparedTable) -> None:
    again = prepare(mixed(), OPTIONS, split_seed=0)
    others = [
        prepare(mixed(1), OPTIONS, split_seed=0),
        prepare(mixed(), OPTIONS, split_seed=1),
        prepare(mixed(), TableOptions(target="y"), split_seed=0),
    ]
    assert again.fingerprint == prepared.fingerprint
    assert len({prepared.fingerprint, *(other.fingerprint for other in others)}) == 4
