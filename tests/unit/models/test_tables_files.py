"""Tables are read as they are written; what is no table is refused in words."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv as pacsv
from pyarrow import parquet

from models.catalog import DataRefused
from models.data import sklearn_files
from models.data.tables import csv_file
from models.data.tables.bundled import BUNDLED, bundled_table
from models.data.tables.reading import column_names, read_table

ROWS = [{"size": i + 0.5, "kind": "ab"[i % 2], "n": i} for i in range(40)]

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write bytes, or text as UTF-8, to a file of the test's own."""

    def write(content: bytes | str, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def as_text(delimiter: str = ",", point: str = ".") -> str:
    lines = [delimiter.join(ROWS[0])]
    for row in ROWS:
        lines.append(delimiter.join(str(value).replace(".", point) for value in row.values()))
    return "\n".join(lines) + "\n"


def refused(path: Path) -> str:
    with pytest.raises(DataRefused) as caught:
        read_table(path)
    return str(caught.value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_rows(write: Write, delimiter: str) -> None:
    path = write(as_text(delimiter))
    assert read_table(path).to_pylist() == ROWS
    assert column_names(path) == ("size", "kind", "n")


def test_a_comma_within_numbers_is_their_point_where_something_else_parts_fields(
    write: Write,
) -> None:
    assert read_table(write(as_text(";", ","))).to_pylist() == ROWS


def test_a_table_of_one_column_needs_no_delimiter(write: Write) -> None:
    assert read_table(write("size\n1\n2\n")).to_pydict() == {"size": [1, 2]}


def test_packed_and_marked_files_are_read_alike(write: Write) -> None:
    packed = write(gzip.compress(as_text().encode()), "t.csv.gz")
    marked = write(b"\xef\xbb\xbf" + as_text().encode())
    assert read_table(packed).to_pylist() == read_table(marked).to_pylist() == ROWS


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.Table.from_pylist(ROWS), path)
    assert read_table(path).to_pylist() == ROWS
    assert column_names(path) == ("size", "kind", "n")
    assert read_table(path, leave_out=("kind",)).column_names == ["size", "n"]


def test_a_quoted_field_may_go_on_over_a_line_and_hold_the_delimiter(write: Write) -> None:
    path = write('a,b\n1,"x, y\nz"\n2,w\n')
    assert read_table(path)["b"].to_pylist() == ["x, y\nz", "w"]


def test_a_table_may_be_wide_and_begin_with_an_empty_line(write: Write) -> None:
    names = [f"a column with a long name {i}" for i in range(5000)]
    row = ",".join(["1.5"] * 5000)
    path = write("\n" + ",".join(names) + f"\n{row}\n{row}\n")
    assert column_names(path) == tuple(names)
    assert read_table(path).shape == (2, 5000)


def test_a_first_line_without_end_is_refused(write: Write) -> None:
    assert refused(write("x" * 200_000)) == (
        "The first line of t.csv names no columns: field larger than field limit (131072); "
        "write the file anew."
    )


def test_signs_of_a_missing_value_are_read_as_such(write: Write) -> None:
    path = write("a,b\n1,x\n?,NA\n,\nNaN,?\n")
    assert read_table(path).to_pydict() == {"a": [1, None, None, None], "b": ["x"] + 3 * [None]}


@pytest.mark.parametrize(
    ("early", "late", "type_"),
    [
        ("1", "1.5", pa.float64()),
        ("1.5", "word", pa.string()),
        ("", "word", pa.string()),
        ("true", "maybe", pa.string()),
        ("2024-01-01", "soon", pa.string()),
    ],
)
def test_a_value_that_shows_a_columns_type_late_is_heeded(
    write: Write, monkeypatch: pytest.MonkeyPatch, early: str, late: str, type_: pa.DataType
) -> None:
    monkeypatch.setattr(csv_file, "BLOCK_BYTES", 256)
    column = read_table(write("a,b\n" + f"{early},0\n" * 500 + f"{late},1\n"))["a"]
    assert column.type == type_
    assert str(column[-1]) == late


def test_a_column_can_be_read_as_text_with_its_leading_zeros(write: Write) -> None:
    path = write("zip,n\n01067,1\n20095,2\n")
    assert read_table(path, text=("zip", "absent"))["zip"].to_pylist() == ["01067", "20095"]


def test_a_column_left_out_is_not_even_parsed(write: Write) -> None:
    path = write(b"a,b\n1,\xff\xfe\n2,\xff\n")
    assert read_table(path, leave_out=("b",)).to_pydict() == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "t.csv", "t.csv is empty; it needs a line of column names and rows."),
        (" \n\n", "t.csv", "t.csv is empty; it needs a line of column names and rows."),
        ("a,b\n", "t.csv", "t.csv names columns and holds no rows; add rows."),
        (
            "1,2\n3,4\n",
            "t.csv",
            "The first line of t.csv holds numbers, 1, 2; it must name the columns: add a line.",
        ),
        ("a,a\n3,4\n", "t.csv", "t.csv has two columns named 'a'; rename one."),
        (
            "a,b\n1,2\n3\n4,5\n",
            "t.csv",
            "Row 2 of t.csv has 1 fields where the first line names 2 columns: '3'; "
            "correct the row.",
        ),
        (
            b"a,b\n1,M\xfcller\n",
            "t.csv",
            "Column 'b' of t.csv holds text that is not UTF-8; save it as UTF-8.",
        ),
        (
            "a,b\n1,2\n".encode("utf-16"),
            "t.csv",
            "t.csv is not a CSV file: it holds zero bytes; save it as UTF-8 text.",
        ),
        (
            b"PK\x03\x04...",
            "t.csv",
            "t.csv is a zip archive or an Excel sheet; save the table as CSV or Parquet.",
        ),
        (b"PAR1...", "t.csv", "t.csv is a Parquet file; give it a name in .parquet."),
        (
            "a,b\n1,2\n",
            "t.parquet",
            "t.parquet is not a Parquet file: it begins with b'a,b\\n1,2\\n'; write it anew, "
            "or name it .csv if it is text.",
        ),
        (
            gzip.compress(b"a,b\n1,2\n", mtime=0),
            "t.csv",
            "t.csv is packed with gzip; give it a name in .csv.gz.",
        ),
    ],
)
def test_what_is_no_table_is_refused(
    write: Write, content: bytes | str, name: str, message: str
) -> None:
    assert refused(write(content, name)) == message


def test_a_file_cut_short_is_refused(write: Write, tmp_path: Path) -> None:
    parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    message = refused(write(whole[:-20], "t.parquet"))
    assert message.startswith("t.parquet is cut short or damaged: ")
    assert message.endswith("; write the file anew.")
    assert "t.csv.gz cannot be read" in refused(write(b"\x1f\x8b..........", "t.csv.gz"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "absent.csv") == "There is no file absent.csv; check its name."


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_a_table_too_large_for_memory_is_refused_with_what_it_takes(
    tmp_path: Path, name: str
) -> None:
    table = pa.table({f"c{i}": [1.25] * 10_000 for i in range(10)})
    path = tmp_path / name
    if name == "t.parquet":
        parquet.write_table(table, path)
    else:
        with pa.output_stream(str(path)) as stream:
            pacsv.write_csv(table, stream)
    assert read_table(path, available_bytes=4_000_000).num_rows == 10_000
    with pytest.raises(DataRefused) as caught:
        read_table(path, available_bytes=1_000_000)
    assert re.fullmatch(
        rf"{name} has about 10,00[01] rows of 10 columns, which take 3\.2 MB of memory; "
        r"1\.0 MB are free: leave columns out with ignore, or take fewer rows\.",
        str(caught.value),
    )


@pytest.mark.parametrize(
    ("name", "rows", "columns", "classes"),
    [
        ("breast_cancer", 569, 30, {"malignant": 212, "benign": 357}),
        ("wine", 178, 13, {"class_0": 59, "class_1": 71, "class_2": 48}),
        ("iris", 150, 4, {"setosa": 50, "versicolor": 50, "virginica": 50}),
    ],
)
def test_bundled_tables_of_classes_are_whole(
    name: str, rows: int, columns: int, classes: dict[str, int]
) -> None:
    table = bundled_table(name)
    assert (table.num_rows, table.num_columns) == (rows, columns + 1)
    counts = {str(entry["values"]): entry["counts"] for entry in table["target"].value_counts()}
    assert counts == {name: pa.scalar(count, pa.int64()) for name, count in classes.items()}


def test_bundled_diabetes_has_a_number_to_predict() -> None:
    table = bundled_table("diabetes")
    assert (table.num_rows, table.num_columns) == (442, 11)
    assert table["target"].to_pylist()[:3] == [151.0, 75.0, 141.0]
    assert table["bmi"].to_pylist()[:2] == [32.1, 21.6]


def test_bundled_tables_have_no_missing_value() -> None:
    missing = {name: sum(c.null_count for c in bundled_table(name).columns) for name in BUNDLED}
    assert missing == {"breast_cancer": 0, "wine": 0, "iris": 0, "diabetes": 0}


def test_missing_scikit_learn_is_named_for_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sklearn_files, "find_spec", lambda _name: None)
    with pytest.raises(DataRefused, match=r"wine comes with scikit-learn.*: pip install"):
        bundled_table("wine")


def test_long_texts_count_towards_the_memory_a_table_takes(write: Write) -> None:
    path = write("a,b\n" + f"1,{'long ' * 2000}\n" * 100)
    with pytest.raises(DataRefused, match=r"100 rows of 2 columns, which take 2\.0 MB of memory"):
        read_table(path, available_bytes=1_000_000)
