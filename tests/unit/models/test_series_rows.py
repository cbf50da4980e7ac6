"""Rows of a table are series: those of one id, in the order of time, never on two sides."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from models.catalog import DataRefused, DataSource
from models.data.loading import Dataset, load
from models.data.series.of_rows import series_of_rows
from models.data.series.preparation import SeriesPreparation
from models.data.tables.options import TableOptions
from models.entries import catalog

Columns = dict[str, list[Any]]
LoadRows = Callable[..., Dataset]


def walks(count: int = 30) -> Columns:
    """`count` persons' speeds over three to five moments, their rows shuffled."""
    rng = random.Random(0)
    rows = [
        (f"p{person}", f"2024-01-0{moment + 1}", 100.0 * person + moment, moment % 2 == 0)
        for person in range(count)
        for moment in range(3 + person % 3)
    ]
    rng.shuffle(rows)
    names = ("person", "day", "speed", "awake")
    columns: Columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["ill"] = ["yes" if int(p[1:]) % 2 else "no" for p in columns["person"]]
    columns["clinic"] = [f"c{int(p[1:]) // 3}" for p in columns["person"]]
    return columns


@pytest.fixture
def load_rows(tmp_path: Path) -> LoadRows:
    """The data set of a table of series."""

    def load_rows(columns: Columns, kind: str = "csv", **said: Any) -> Dataset:
        path = tmp_path / f"t.{kind}"
        if kind == "csv":
            # Written by hand: texts as they are, nothing quoted.
            lines = zip(*(map(_written, values) for values in columns.values()), strict=True)
            path.write_text("\n".join([",".join(columns), *map(",".join, lines)]) + "\n")
        else:
            parquet.write_table(pa.table(columns), path)
        usual = {"target": "ill", "series": "person", "time": "day", "ignore": ["clinic"]}
        options = {k: v for k, v in (usual | said).items() if v is not None}
        source = DataSource(name=kind, path=path.name, options=options)
        roots = (str(tmp_path),)
        data = load(source, roots=roots, cache_dir=tmp_path / "cache")
        assert catalog().data[kind].inspect(source, roots) == data.shape
        return data

    return load_rows


def _written(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def speeds(data: Dataset, split: str) -> list[list[int]]:
    """The raw speeds of each series of a split, without what is past its end."""
    channel = next(c for c in _document(data)["channels"] if c["name"] == "speed")
    inputs = data.split(split).inputs
    raw = (inputs[:, 0] * channel["std"] + channel["mean"]).round().int()
    return [row[flags == 0].tolist() for row, flags in zip(raw, inputs[:, -1], strict=True)]


def _document(data: Dataset) -> dict[str, Any]:
    found: dict[str, Any] = data.preparation.to_json()["series"]
    return found


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_of_one_id_are_a_series_in_the_order_of_time(load_rows: LoadRows, kind: str) -> None:
    data = load_rows(walks(), kind)
    assert (data.shape.kind, data.shape.input_shape, data.shape.classes) == ("series", (3, 5), 2)
    assert data.shape.flagged
    assert (data.train.rows, data.val.rows, data.shape.test_rows) == (20, 4, 6)
    found = [walk for split in ("train", "val", "test") for walk in speeds(data, split)]
    expected = [[100 * p + m for m in range(3 + p % 3)] for p in range(30)]
    assert sorted(found) == expected
    labels = torch.cat([data.train.labels, data.val.labels, data.split("test").labels])
    assert [walk[0] // 100 % 2 for walk in found] == labels.tolist()


def test_without_a_time_rows_keep_the_files_order(load_rows: LoadRows) -> None:
    columns = walks()
    data = load_rows(columns, time=None, ignore=["clinic", "day"])
    expected: dict[str, list[int]] = {}
    for person, speed in zip(columns["person"], columns["speed"], strict=True):
        expected.setdefault(person, []).append(int(speed))
    found = [walk for split in ("train", "val", "test") for walk in speeds(data, split)]
    assert sorted(found) == sorted(expected.values())


def test_series_of_one_group_stay_on_one_side(load_rows: LoadRows) -> None:
    data = load_rows(walks(), group="clinic", ignore=[])
    sides = [
        {walk[0] // 100 // 3 for walk in speeds(data, split)} for split in ("train", "val", "test")
    ]
    assert sum(map(len, sides)) == len(set().union(*sides)) == 10
    # The group divides, and is no channel.
    assert data.shape.input_shape == (3, 5)


def test_truth_values_are_channels_and_a_missing_value_is_flagged(load_rows: LoadRows) -> None:
    columns = walks()
    columns["speed"][0] = None
    data = load_rows(columns)
    assert [channel["name"] for channel in _document(data)["channels"]] == ["speed", "awake"]
    inputs = torch.cat([data.train.inputs, data.val.inputs, data.split("test").inputs])
    lengths = np.unique(columns["person"], return_counts=True)[1]
    assert inputs[:, 2].sum() == (5 - lengths).sum() + 1


def test_the_target_is_judged_by_series_and_not_by_rows(load_rows: LoadRows) -> None:
    # Fifteen values in 120 rows would be classes; in 30 series they are numbers.
    columns = walks()
    columns["ill"] = [int(p[1:]) // 2 for p in columns["person"]]
    data = load_rows(columns)
    assert data.shape.classes == 0
    assert data.train.labels.mean().item() == pytest.approx(0, abs=1e-5)
    assert load_rows(columns, task="classes", test=0, validation=0.5).shape.classes == 15


def test_what_is_made_of_series_in_a_table_is_told(load_rows: LoadRows, tmp_path: Path) -> None:
    load_rows(walks())
    options = {"target": "ill", "series": "person", "time": "day", "ignore": ["clinic"]}
    source = DataSource(name="csv", path="t.csv", options=options)
    sentences = catalog().data["csv"].explain(source, (str(tmp_path),))
    assert sentences[0] == "30 series of 2 channels and 3 to 5 places."
    assert sentences[1] == "Target 'ill' (text): 2 classes, no, yes."
    assert sentences[3].startswith("Channel 'awake' (number): standardised, mean ")
    assert sentences[4].startswith("A series has 5 places;")


def changed(**values: Any) -> Columns:
    """The walks with another value in the fifth row."""
    columns = walks()
    for name, value in values.items():
        columns[name][4] = value
    return columns


@pytest.mark.parametrize(
    ("columns", "said", "message"),
    [
        (
            changed(person=None),
            {},
            "Series column 'person' has no value in row 5; fill it in, or remove the row.",
        ),
        (
            changed(day=None),
            {},
            "Time column 'day' has no value in row 5; fill it in, or remove the row.",
        ),
        (
            changed(ill=None),
            {},
            "Target 'ill' has no value in 1 of 120 rows, the first is row 5; fill them in or "
            "remove the rows.",
        ),
        (
            walks(),
            {"ignore": []},
            "Column 'clinic' holds text, but the channels of a series are numbers; list it under "
            "ignore, or write numbers.",
        ),
        (
            walks(),
            {"time": None},
            "Column 'day' holds date, but the channels of a series are numbers; list it under "
            "ignore, or write numbers.",
        ),
        (
            changed(speed="fast"),
            {},
            "Column 'speed' holds numbers but for 1 of its values; the first is 'fast' in row 5: "
            "correct it, or list the column under ignore.",
        ),
        (
            walks(),
            {"ignore": ["clinic", "speed", "awake"]},
            "No column is left for the channels of series 'person'; add columns of numbers, or "
            "ignore fewer.",
        ),
        (
            {**walks(), "ill": ["yes"] * 120},
            {},
            "Target 'ill' has one value, 'yes', in all rows; a class is only learned beside "
            "another: name another target, or add rows.",
        ),
        (
            walks(5),
            {},
            "Class 'yes' of target 'ill' has 2 series; 3 are needed, one for each of training, "
            "validation and test: add series, or set test: 0, or remove the class.",
        ),
        (
            walks(),
            {"series": "persn"},
            "series names column 'persn', which the table does not have; did you mean 'person'?",
        ),
        (walks(), {"series": 3}, "series = 3 must be text."),
    ],
)
def test_rows_that_make_no_series_are_refused(
    load_rows: LoadRows, columns: Columns, said: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataRefused) as caught:
        load_rows(columns, **said)
    assert str(caught.value) == message


@pytest.mark.parametrize(("role", "column"), [("target", "ill"), ("group", "clinic")])
def test_what_changes_within_a_series_is_refused(
    load_rows: LoadRows, role: str, column: str
) -> None:
    columns = walks()
    person, value = columns["person"][4], columns[column][4]
    first = columns["person"].index(person)
    last = max(row for row, name in enumerate(columns["person"]) if name == person)
    assert first != last
    columns[column][last] = other = "no" if value == "yes" else "yes"
    with pytest.raises(DataRefused) as caught:
        load_rows(columns, group="clinic", ignore=[])
    assert str(caught.value) == (
        f"{role.capitalize()} {column!r} changes within series {person!r}: {value!r} in row "
        f"{first + 1}, {other!r} in row {last + 1}; a series has one, so correct the rows, or "
        "name another column."
    )


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"series": "y"}, "series = 'y' is also the target; name another column."),
        (
            {"series": "i", "group": "i"},
            "group = 'i' is also the column of series; leave group out, or name another column.",
        ),
        (
            {"series": "i", "time": "i"},
            "time = 'i' is also the column of series; leave time out, or name another column.",
        ),
        (
            {"series": "i", "scaling": "quantile"},
            "scaling = 'quantile' is for tables without series, whose numbers are always scaled "
            "by standard; leave it out.",
        ),
        (
            {"series": "i", "categories": ("c",)},
            "categories lists 'c', but a series has channels of numbers only; list it under "
            "ignore.",
        ),
        ({"series": "i", "ignore": ("i",)}, "ignore lists 'i', which is series; remove it."),
        ({"time": "t", "ignore": ("t",)}, "ignore lists 't', which is time; remove it."),
        ({"group": "g", "ignore": ("g",)}, "ignore lists 'g', which is group; remove it."),
    ],
)
def test_what_cannot_be_said_of_series_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(DataRefused) as caught:
        TableOptions(target="y", **said)
    assert str(caught.value) == message


def test_a_time_divides_rows_and_only_orders_series() -> None:
    with pytest.raises(DataRefused, match="both divide the rows; keep one"):
        TableOptions(target="y", group="g", time="t")
    assert TableOptions(target="y", group="g", time="t", series="i").examples == "series"


def test_rows_at_the_same_moment_keep_their_order() -> None:
    table = pa.table({"i": [7, 7, 3, 7], "t": [1, 0, 5, 0], "x": [1.0, 2.0, 3.0, 4.0]})
    of = series_of_rows(table, ["x"], series="i", time="t")
    assert of.series.values.tolist() == [[2.0, 4.0, 1.0, 3.0]]
    assert of.series.lengths.tolist() == [3, 1]
    assert of.first_rows.tolist() == [0, 2]


def test_raw_rows_become_series_in_the_order_in_which_their_ids_appear(
    load_rows: LoadRows, tmp_path: Path
) -> None:
    preparation = SeriesPreparation.from_json(_document(load_rows(walks())))
    new = tmp_path / "new.csv"
    new.write_text(
        "awake,speed,day,person,note\n"
        "true,5,2025-01-02,b,x\ntrue,9,2025-01-01,a,x\nfalse,4,2025-01-01,b,x\n"
    )
    inputs = preparation.inputs(new)
    speed = preparation.channels[0]
    assert inputs.shape == (2, 3, 5)
    raw = inputs[:, 0] * speed.std + speed.mean
    np.testing.assert_allclose(raw[0, :2], [4, 5], atol=1e-3)
    np.testing.assert_allclose(raw[1, :1], [9], atol=1e-3)
    assert inputs[:, 2].tolist() == [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]]
    # A .ts file has the channels in the order of the table's columns.
    (tmp_path / "new.ts").write_text("@univariate false\n@data\n4,5:0,1\n9:1\n")
    np.testing.assert_allclose(preparation.inputs(tmp_path / "new.ts"), inputs, atol=1e-6)
    new.write_text("awake,day,person\ntrue,2025-01-02,b\n")
    with pytest.raises(DataRefused, match="was trained with column 'speed', which the table does"):
        preparation.inputs(new)
