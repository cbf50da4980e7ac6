"""NumPy's files become a table or images; what does not fit is refused in words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.catalog import DataRefused
from models.data.arrays.reading import Arrays, read_npy, read_npz
from models.data.tables.of_arrays import table_of
from models.data.tables.options import TableOptions
from models.data.tables.prepare import prepare

N = 60
Y = np.arange(N) % 3
NUMBERS = np.random.default_rng(4).normal(size=(N, 5))


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def read(folder: Path, **arrays: Any) -> Arrays:
    return read_npz(saved(folder, **arrays))


def refused(folder: Path, **arrays: Any) -> str:
    with pytest.raises(DataRefused) as caught:
        read(folder, **arrays)
    return str(caught.value)


@pytest.mark.parametrize(
    ("first", "second"), [("x", "y"), ("X", "y"), ("inputs", "labels"), ("x_train", "y_train")]
)
def test_two_axes_are_a_table(tmp_path: Path, first: str, second: str) -> None:
    arrays = read(tmp_path, **{first: NUMBERS.astype(np.float32), second: Y})
    assert (arrays.kind, arrays.test) == ("table", None)
    assert arrays.train.inputs == pytest.approx(NUMBERS, rel=1e-6)
    assert (arrays.train.labels == Y).all()


def test_a_table_of_arrays_is_prepared_like_any_other(tmp_path: Path) -> None:
    labels = np.array(["a", "b", "c"])[Y]
    table = table_of(read(tmp_path, x=NUMBERS, y=labels))
    prepared = prepare(table, TableOptions(target="y"), split_seed=0)
    assert prepared.preparation.features == ("x0", "x1", "x2", "x3", "x4")
    assert prepared.preparation.target.classes == ("a", "b", "c")


def test_rows_of_a_test_split_come_last(tmp_path: Path) -> None:
    arrays = read(tmp_path, x_train=NUMBERS, y_train=Y, x_test=NUMBERS[:7], y_test=Y[:7])
    assert arrays.test is not None
    assert (arrays.test.inputs == NUMBERS[:7]).all()
    table = table_of(arrays)
    assert table["x0"].to_pylist() == [*NUMBERS[:, 0].tolist(), *NUMBERS[:7, 0].tolist()]
    prepared = prepare(table, TableOptions(target="y"), split_seed=0, test_rows=7)
    assert prepared.test is not None
    assert prepared.test.target.tolist() == Y[:7].tolist()
    assert (len(prepared.train), len(prepared.val)) == (48, 12)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((N, 8, 9), (N, 1, 8, 9)),
        ((N, 3, 8, 9), (N, 3, 8, 9)),
        ((N, 8, 9, 3), (N, 3, 8, 9)),
        ((N, 8, 9, 1), (N, 1, 8, 9)),
        ((N, 13, 8, 9), (N, 13, 8, 9)),
        ((N, 3, 4, 3), (N, 3, 4, 3)),
    ],
)
def test_three_and_four_axes_are_images(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    arrays = read(tmp_path, x=np.zeros(shape, np.uint8), y=Y)
    assert (arrays.kind, arrays.train.inputs.shape) == ("image", expected)


def test_colours_keep_their_pixels(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 9, 3), dtype=np.uint8)
    inputs = read(tmp_path, x=images, y=Y[:, None]).train.inputs
    assert (inputs[7, 2] == images[7, :, :, 2]).all()


@pytest.mark.parametrize(
    ("pixels", "dtype"),
    [
        (np.uint8([0, 255]), np.uint8),
        (np.int64([0, 255]), np.uint8),
        (np.array([False, True]), np.uint8),
        (np.int64([0, 256]), np.float32),
        (np.int64([-1, 255]), np.float32),
        (np.float64([0, 0.5]), np.float32),
    ],
)
def test_pixels_that_fit_a_byte_are_bytes(tmp_path: Path, pixels: Any, dtype: Any) -> None:
    images = np.tile(pixels, N * 4).reshape(N, 2, 4)
    inputs = read(tmp_path, x=images, y=Y).train.inputs
    assert inputs.dtype == dtype
    assert (inputs[:, 0] == images).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"pixels": NUMBERS, "y": Y},
            "a.npz has the arrays 'pixels', 'y'; name the inputs 'x' and the labels 'y', or "
            "x_train, y_train, x_test and y_test.",
        ),
        (
            {"x": NUMBERS, "y": np.eye(3)[Y]},
            "'y' in a.npz has shape (60, 3); labels are one value an example: of one-hot rows "
            "take argmax(axis=1).",
        ),
        (
            {"x": NUMBERS, "y": Y[:-1]},
            "'x' in a.npz has 60 examples and 'y' in a.npz 59 labels; they must be equally many.",
        ),
        (
            {"x": np.zeros((N, 8, 0)), "y": Y},
            "'x' in a.npz has shape (60, 8, 0): it holds no value.",
        ),
        (
            {"x": NUMBERS.astype(str), "y": Y},
            "'x' in a.npz holds <U32, which are no numbers; save a table with texts as CSV or "
            "Parquet.",
        ),
        (
            {"x": np.zeros((N, 2, 2, 2, 2)), "y": Y},
            "'x' in a.npz has shape (60, 2, 2, 2, 2); inputs are (N, columns), (N, height, width) "
            "or (N, channels, height, width).",
        ),
        (
            {"x": np.where(np.arange(N * 4) == 9, np.nan, 0).reshape(N, 2, 2), "y": Y},
            "Image 3 of 'x' in a.npz has a pixel that is no number; correct it.",
        ),
        (
            {"x_train": NUMBERS, "y_train": Y, "x_test": NUMBERS[:, :4], "y_test": Y},
            "In a.npz an example of x_train is 5 and one of the test split 4; they must have one "
            "shape.",
        ),
        (
            {"x_train": NUMBERS, "y_train": Y, "x_test": NUMBERS},
            "a.npz has 'x_test' without 'y_test'; add the labels.",
        ),
        (
            {"x": np.array([{}] * N), "y": Y},
            "a.npz holds Python objects, which are not read since they could run code; save arrays "
            "of numbers or texts.",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    assert refused(tmp_path, **arrays) == message


def test_what_is_no_npz_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(DataRefused, match=r"^There is no file a\.npz; check its name\.$"):
        read_npz(path)
    path.write_bytes(b"text")
    with pytest.raises(DataRefused, match=r"a\.npz is not an NPZ file: .*; save the arrays with"):
        read_npz(path)
    whole = saved(tmp_path, x=NUMBERS, y=Y).read_bytes()
    path.write_bytes(whole.replace(b"\x93NUMPY", b"\x93BUMPY", 1))
    with pytest.raises(DataRefused, match=r"a\.npz is damaged: .*; write the file anew\."):
        read_npz(path)


def test_arrays_too_large_for_memory_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, x=np.zeros((1000, 100)), y=np.zeros(1000))
    with pytest.raises(DataRefused) as caught:
        read_npz(path, available_bytes=1_000_000)
    assert str(caught.value) == ("a.npz takes 2.4 MB of memory; 1.0 MB are free: take fewer rows.")


def two(folder: Path, x: Any, y: Any) -> tuple[Path, Path]:
    np.save(folder / "X.npy", x)
    np.save(folder / "y.npy", y)
    return folder / "X.npy", folder / "y.npy"


def test_two_files_are_a_table_or_images_too(tmp_path: Path) -> None:
    table = read_npy(*two(tmp_path, NUMBERS, Y))
    assert (table.kind, table.test) == ("table", None)
    assert (table.train.inputs == NUMBERS).all()
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 9), dtype=np.uint8)
    found = read_npy(*two(tmp_path, images, Y))
    assert (found.kind, found.train.inputs.shape) == ("image", (N, 1, 8, 9))
    assert (found.train.inputs[:, 0] == images).all()


def test_images_of_bytes_stay_in_their_file(tmp_path: Path) -> None:
    found = read_npy(*two(tmp_path, np.zeros((N, 8, 9), np.uint8), Y), available_bytes=5000)
    assert isinstance(found.train.inputs, np.memmap)
    found.train.inputs[:] = 7
    assert not np.load(tmp_path / "X.npy").any()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            NUMBERS,
            Y[:-1],
            "X.npy has 60 examples and y.npy 59 labels; they must be equally many.",
        ),
        (
            NUMBERS,
            np.array([{}] * N),
            "y.npy holds Python objects, which are not read since they could run code; save arrays "
            "of numbers or texts.",
        ),
        (np.zeros((N, 0)), Y, "X.npy has shape (60, 0): it holds no value."),
        (
            np.zeros((N, 30)),
            Y,
            "X.npy takes 0.0 MB of memory; 0.0 MB are free: take fewer rows.",
        ),
    ],
)
def test_two_files_that_do_not_fit_are_refused(
    tmp_path: Path, x: Any, y: Any, message: str
) -> None:
    with pytest.raises(DataRefused) as caught:
        read_npy(*two(tmp_path, x, y), available_bytes=12_000)
    assert str(caught.value) == message


def test_what_is_no_npy_file_is_refused(tmp_path: Path) -> None:
    inputs, labels = two(tmp_path, NUMBERS, Y)
    whole = inputs.read_bytes()
    inputs.write_bytes(b"text")
    with pytest.raises(DataRefused, match=r"^X\.npy is not an NPY file; save the array with numpy"):
        read_npy(inputs, labels)
    inputs.write_bytes(whole[:-8])
    with pytest.raises(DataRefused, match=r"^X\.npy is damaged: .*; write the file anew\.$"):
        read_npy(inputs, labels)
