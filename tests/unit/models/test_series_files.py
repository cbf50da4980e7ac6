"""The .ts files are read as their headers say; a line that does not fit is named."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from models.catalog import DataRefused
from models.data.series.ts_file import TsFile, read_ts

CLASSES = "@problemName p\n@univariate true\n@classLabel true a b\n"


def read(folder: Path, text: str, name: str = "p.ts") -> TsFile:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return read_ts(path)


def rows_of(file: TsFile) -> list[list[list[float | None]]]:
    """Series by channel by place; None where a value is missing."""
    ends = np.cumsum(file.series.lengths)[:-1]
    parts = np.split(file.series.values, ends, axis=1)
    return [[[None if np.isnan(v) else float(v) for v in row] for row in part] for part in parts]


@pytest.mark.parametrize("name", ["p.ts", "p.ts.gz"])
def test_a_line_is_a_series_that_ends_with_its_class(tmp_path: Path, name: str) -> None:
    file = read(tmp_path, f"# a comment\n\n{CLASSES}@data\n1,2,-3e1:b\n\n4,5,6: a\n", name)
    assert rows_of(file) == [[[1.0, 2.0, -30.0]], [[4.0, 5.0, 6.0]]]
    assert file.targets == ("b", "a")
    assert (file.header.classes, file.series.channels) == (("a", "b"), ("value",))


def test_the_header_is_read_whatever_its_letters_case_and_the_files_mark(tmp_path: Path) -> None:
    file = read(tmp_path, "\ufeff@UNIVARIATE False\n@ClassLabel TRUE a b\n@DATA\n1:2:a\n")
    assert rows_of(file) == [[[1.0], [2.0]]]


def test_dimensions_are_parted_by_colons_and_may_be_of_different_lengths(tmp_path: Path) -> None:
    header = "@univariate false\n@dimensions 2\n@equalLength false\n@classLabel true a b\n@data\n"
    file = read(tmp_path, f"{header}1,2:3,4:a\n5:6:b\n7,8,9:1,2,3:a\n")
    assert file.series.lengths.tolist() == [2, 1, 3]
    assert rows_of(file)[2] == [[7.0, 8.0, 9.0], [1.0, 2.0, 3.0]]
    assert file.series.channels == ("dimension 1", "dimension 2")


def test_missing_and_infinite_values_are_missing(tmp_path: Path) -> None:
    file = read(tmp_path, f"{CLASSES}@missing true\n@data\n1,?,NaN:a\ninf,2,3:b\n")
    assert rows_of(file) == [[[1.0, None, None]], [[None, 2.0, 3.0]]]


def test_a_target_may_be_a_number(tmp_path: Path) -> None:
    file = read(tmp_path, "@targetlabel true\n@univariate true\n@data\n1,2:0.5\n3,4:-1e2\n")
    assert (file.header.target, file.targets) == ("number", (0.5, -100.0))


def test_a_file_without_targets_holds_series_alone(tmp_path: Path) -> None:
    file = read(tmp_path, "@univariate false\n@classLabel false\n@data\n1,2:3,4\n")
    assert (rows_of(file), file.targets) == ([[[1.0, 2.0], [3.0, 4.0]]], ())


def test_times_of_values_are_passed_over(tmp_path: Path) -> None:
    header = "@timeStamps true\n@univariate false\n@classLabel true a b\n@data\n"
    line = "(2007-01-01 00:00:00,1.5),(2007-01-01 00:01:00,2):(0,3),(1,?):b\n"
    file = read(tmp_path, header + line)
    assert rows_of(file) == [[[1.5, 2.0], [3.0, None]]]
    assert file.targets == ("b",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1,2,3:a\n",
            "Line 1 of p.ts is '1,2,3:a', but a .ts file begins with a header of lines such as "
            "@univariate true, which ends with @data; write one.",
        ),
        (
            CLASSES,
            "p.ts has no line @data, after which the series are; write a header that ends with it.",
        ),
        (
            "@classLabel true\n@data\n1:a\n",
            "p.ts has @classLabel true without names; write the classes after it: "
            "@classLabel true a b.",
        ),
        (
            "@dimensions many\n@data\n1:a\n",
            "p.ts has @dimensions 'many'; write a number of at least 1.",
        ),
        (
            f"{CLASSES}@data\n",
            "p.ts has no series after @data; add lines such as 1.5,2.0,1.8:walking.",
        ),
        (
            f"{CLASSES}@data\n1,2:a\n1,2:3,4:b\n",
            "Line 6 of p.ts has 2 dimensions where 1 are due; write these, parted by colons and "
            "what is predicted.",
        ),
        (
            "@univariate false\n@classLabel false\n@data\n1:2:3\n4:5\n",
            "Line 5 of p.ts has 2 dimensions where 3 are due; write these, parted by colons.",
        ),
        (
            f"{CLASSES}@data\n1,2,3\n",
            "Line 5 of p.ts has 0 dimensions where 1 are due; write these, parted by colons and "
            "what is predicted.",
        ),
        (
            "@univariate false\n@classLabel true a\n@data\n1,2:3:a\n",
            "Line 4 of p.ts has 1 values in dimension 2 and 2 in dimension 1; write as many, ? "
            "where one is missing.",
        ),
        (
            f"{CLASSES}@equalLength true\n@seriesLength 3\n@data\n1,2,3:a\n1,2:b\n",
            "Line 8 of p.ts has 2 values where @equalLength makes 3 due; correct the line, or "
            "write @equalLength false.",
        ),
        (
            f"{CLASSES}@equalLength true\n@data\n1,2,3:a\n1,2:b\n",
            "Line 7 of p.ts has 2 values where @equalLength makes 3 due; correct the line, or "
            "write @equalLength false.",
        ),
        (
            f"{CLASSES}@data\n1,2:a\n1,two:b\n",
            "Line 6 of p.ts has 'two' in dimension 1, where a number is due; write ? if it is "
            "missing.",
        ),
        (
            f"{CLASSES}@data\n1,,2:a\n",
            "Line 5 of p.ts has '' in dimension 1, where a number is due; write ? if it is "
            "missing.",
        ),
        (
            f"{CLASSES}@data\n:a\n",
            "Line 5 of p.ts has no values in dimension 1; remove the line.",
        ),
        (
            f"{CLASSES}@data\n1,2:c\n",
            "Line 5 of p.ts is of class 'c', which @classLabel does not name; it names a, b.",
        ),
        (
            "@targetLabel true\n@data\n1,2:NaN\n",
            "Line 3 of p.ts ends with 'NaN', where the number to predict is due; fill it in, or "
            "remove the line.",
        ),
        (
            "@targetLabel true\n@data\n1,2:?\n",
            "Line 3 of p.ts ends with '?', where the number to predict is due; fill it in, or "
            "remove the line.",
        ),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DataRefused) as caught:
        read(tmp_path, text)
    assert str(caught.value) == message


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.ts").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataRefused, match=r"p.ts cannot be read as text: .*; write the file anew."):
        read_ts(tmp_path / "p.ts")
    (tmp_path / "p.ts.gz").write_bytes(gzip.compress(CLASSES.encode())[:-9])
    with pytest.raises(DataRefused, match=r"p.ts.gz cannot be read as text: .*; write the file"):
        read_ts(tmp_path / "p.ts.gz")


@pytest.mark.parametrize("name", ["p.ts", "p.ts.gz"])
def test_a_file_too_large_for_memory_is_refused_before_it_is_read(
    tmp_path: Path, name: str
) -> None:
    text = f"{CLASSES}@data\n" + "1.25,2.5,3.75,broken\n" * 20_000
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    message = (
        rf"^{name} has about 59,9\d\d values, which take 1.9 MB of memory; 1.0 MB are free: take "
        "fewer or shorter series.$"
    )
    with pytest.raises(DataRefused, match=message):
        read_ts(path, available_bytes=1_000_000)
