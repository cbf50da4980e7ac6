"""Data is what it says, divided once, mapped from then on; what is not is refused in words."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from models.catalog import DataRefused, DataShape, DataSource
from models.data import entry as data_entry
from models.data import sklearn_files
from models.data.loading import Dataset, load
from models.entries import catalog

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"


def inspect(folder: Path, name: str = "idx") -> DataShape:
    return (
        catalog().data[name].inspect(DataSource(name=name, path=folder.name), (str(folder.parent),))
    )


@pytest.fixture
def folder(tmp_path: Path, digits_folder: Path) -> Path:
    """A copy of the digits' IDX folder, to be spoilt."""
    return Path(shutil.copytree(digits_folder, tmp_path / "copy"))


def test_inspection_foretells_the_data(digits: Dataset) -> None:
    assert catalog().data["digits"].inspect(DataSource(name="digits"), ()) == digits.shape
    assert digits.shape == DataShape(
        input_shape=(1, 8, 8),
        classes=10,
        train_rows=1438,
        val_rows=359,
        test_rows=0,
        labels=(0, 9),
        class_rows=(142, 146, 142, 146, 145, 146, 145, 143, 139, 144),
    )


def test_inspection_foretells_an_idx_folder(digits_folder: Path, cache_dir: Path) -> None:
    loaded = load(
        DataSource(name="idx", path=digits_folder.name),
        roots=(str(digits_folder.parent),),
        cache_dir=cache_dir,
    )
    assert inspect(digits_folder) == loaded.shape
    assert (loaded.train.rows, loaded.val.rows) == (loaded.shape.train_rows, loaded.shape.val_rows)
    assert loaded.shape.train_rows + loaded.shape.val_rows == 1438
    assert loaded.shape.test_rows == 359


def test_every_class_gives_its_share_to_validation(digits: Dataset) -> None:
    train, val = digits.train.labels.bincount(), digits.val.labels.bincount()
    assert val.tolist() == [round(n / 5) for n in (train + val).tolist()]


def test_training_and_validation_have_no_row_in_common_and_lose_none(
    digits_folder: Path, digits: Dataset, cache_dir: Path
) -> None:
    loaded = load(
        DataSource(name="idx", path=digits_folder.name),
        roots=(str(digits_folder.parent),),
        cache_dir=cache_dir,
    )

    def rows(*images: torch.Tensor) -> list[bytes]:
        return sorted(image.numpy().tobytes() for part in images for image in part)

    assert rows(loaded.train.inputs, loaded.val.inputs) == rows(digits.train.inputs)


def test_t10k_is_the_test_split_and_nothing_else(
    digits_folder: Path, digits: Dataset, cache_dir: Path
) -> None:
    loaded = load(
        DataSource(name="idx", path=digits_folder.name),
        roots=(str(digits_folder.parent),),
        cache_dir=cache_dir,
    )
    assert torch.equal(loaded.split("test").inputs, digits.val.inputs)
    assert torch.equal(loaded.split("test").labels, digits.val.labels)


def test_data_without_a_test_split_says_so(digits: Dataset) -> None:
    with pytest.raises(KeyError, match="digits has no test split"):
        digits.split("test")


def test_the_split_follows_from_its_seed(digits: Dataset, tmp_path: Path) -> None:
    again = load("digits", split_seed=0, cache_dir=tmp_path)
    other = load("digits", split_seed=1, cache_dir=tmp_path)
    assert again.fingerprint == digits.fingerprint != other.fingerprint
    assert torch.equal(again.train.inputs, digits.train.inputs)


def test_inputs_are_normalised_by_the_training_rows_alone(digits: Dataset) -> None:
    inputs = digits.prepared(digits.train.inputs)
    assert inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert inputs.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert digits.prepared(digits.val.inputs).mean().item() != pytest.approx(0, abs=1e-5)


def test_constant_images_are_not_divided_by_zero(
    tmp_path: Path, write_pair: Callable[..., None]
) -> None:
    images = torch.full((12, 1, 3, 3), 7, dtype=torch.uint8)
    write_pair(tmp_path / "flat", "train", images, torch.arange(12) % 2)
    loaded = load(DataSource(name="idx", path="flat"), roots=(str(tmp_path),), cache_dir=tmp_path)
    assert torch.equal(loaded.prepared(images), torch.zeros(12, 1, 3, 3))


def test_the_second_load_maps_the_file_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load("digits", cache_dir=tmp_path)
    monkeypatch.setattr("models.data.loading.whole", lambda *_: pytest.fail("decoded again"))
    second = load("digits", cache_dir=tmp_path)
    assert second.fingerprint == first.fingerprint
    assert torch.equal(second.val.inputs, first.val.inputs)


@pytest.mark.parametrize("content", [b"", b"no safetensors at all", b"\xff" * 64])
def test_a_damaged_cache_is_written_anew(tmp_path: Path, content: bytes) -> None:
    first = load("digits", cache_dir=tmp_path)
    (cached,) = tmp_path.iterdir()
    cached.unlink()
    cached.write_bytes(content)
    assert load("digits", cache_dir=tmp_path).fingerprint == first.fingerprint


def test_many_may_load_for_the_first_time_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: load("digits", cache_dir=tmp_path), range(8)))
    assert len({dataset.fingerprint for dataset in loaded}) == 1
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_changed_files_are_read_again(
    folder: Path, digits: Dataset, write_pair: Callable[..., None], tmp_path: Path
) -> None:
    def fingerprint() -> str:
        return load(
            DataSource(name="idx", path="copy"), roots=(str(tmp_path),), cache_dir=tmp_path / "c"
        ).fingerprint

    before = fingerprint()
    write_pair(folder, "train", digits.val.inputs, digits.val.labels)
    assert fingerprint() != before


def test_plain_and_gzipped_files_are_the_same_data(
    tmp_path: Path, digits: Dataset, write_pair: Callable[..., None]
) -> None:
    fingerprints = set()
    for name, suffix in (("plain", ""), ("packed", ".gz")):
        write_pair(tmp_path / name, "train", digits.val.inputs, digits.val.labels, suffix)
        loaded = load(
            DataSource(name="idx", path=name), roots=(str(tmp_path),), cache_dir=tmp_path / "cache"
        )
        assert inspect(tmp_path / name) == loaded.shape
        fingerprints.add(loaded.fingerprint)
    assert len(fingerprints) == 1


def refused(folder: Path) -> str:
    with pytest.raises(DataRefused) as caught:
        inspect(folder)
    with pytest.raises(DataRefused):
        load(
            DataSource(name="idx", path=folder.name),
            roots=(str(folder.parent),),
            cache_dir=folder.parent / "cache",
        )
    return str(caught.value)


def test_a_folder_without_idx_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "has no train-images-idx3-ubyte[.gz]" in refused(tmp_path / "empty")


def test_images_without_labels_are_refused(folder: Path) -> None:
    (folder / f"{TRAIN_LABELS}.gz").unlink()
    assert f"{folder} has no file {TRAIN_LABELS}[.gz]; add it." in refused(folder)


def test_half_a_test_split_is_refused(folder: Path) -> None:
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    assert "has no file t10k-images-idx3-ubyte[.gz]" in refused(folder)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_wrong_magic_number_is_shown(
    folder: Path, write_idx: Callable[..., Path], suffix: str
) -> None:
    (folder / f"{TRAIN_IMAGES}.gz").unlink()
    path = folder / (TRAIN_IMAGES + suffix)
    write_idx(path, bytes(64), (1, 8, 8), magic=b"\x00\x00\x0d\x03")
    message = refused(folder)
    assert f"{path} begins with 0x00000d03" in message
    assert "begins with 0x00000803" in message


def test_a_gzip_file_that_is_none_is_refused(folder: Path) -> None:
    (folder / f"{TRAIN_IMAGES}.gz").write_bytes(b"<html>404 not found</html>")
    message = refused(folder)
    assert "cannot be read" in message
    assert "copy it again" in message


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("cut", [1, 5, 500])
def test_truncated_images_are_noticed_without_reading_them(
    folder: Path,
    digits: Dataset,
    write_idx: Callable[..., Path],
    suffix: str,
    cut: int,
) -> None:
    (folder / f"{TRAIN_IMAGES}.gz").unlink()
    data = digits.train.inputs.numpy().tobytes()
    path = write_idx(folder / (TRAIN_IMAGES + suffix), data, (1438, 8, 8), cut=cut)
    message = refused(folder)
    assert str(path) in message
    assert "cut short or damaged" in message


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("rows", [1437, 1439])
def test_images_of_another_size_than_announced_are_refused(
    folder: Path,
    digits: Dataset,
    write_idx: Callable[..., Path],
    suffix: str,
    rows: int,
) -> None:
    (folder / f"{TRAIN_IMAGES}.gz").unlink()
    data = digits.train.inputs.numpy().tobytes()
    write_idx(folder / (TRAIN_IMAGES + suffix), data, (rows, 8, 8))
    assert f"announces {rows} x 8 x 8" in refused(folder)


def test_images_and_labels_of_different_number_are_refused(
    folder: Path, write_idx: Callable[..., Path]
) -> None:
    write_idx(folder / f"{TRAIN_LABELS}.gz", bytes(1000), (1000,))
    message = refused(folder)
    assert "1438 images" in message
    assert "1000 labels" in message


def test_test_images_of_another_size_are_refused(
    folder: Path, write_pair: Callable[..., None]
) -> None:
    write_pair(folder, "t10k", torch.zeros(4, 1, 9, 8, dtype=torch.uint8), torch.arange(4))
    assert "train are 8x8 and those of t10k 9x8" in refused(folder)


def test_an_empty_data_set_is_refused(folder: Path, write_idx: Callable[..., Path]) -> None:
    write_idx(folder / f"{TRAIN_IMAGES}.gz", b"", (0, 8, 8))
    write_idx(folder / f"{TRAIN_LABELS}.gz", b"", (0,))
    assert "holds no image" in refused(folder)


def test_a_header_cut_short_is_refused(folder: Path) -> None:
    (folder / f"{TRAIN_IMAGES}.gz").unlink()
    (folder / TRAIN_IMAGES).write_bytes(bytes((0, 0, 8, 3, 0)))
    assert "ends within its header" in refused(folder)


def test_a_class_of_one_row_each_leaves_nothing_to_validate(
    tmp_path: Path, write_pair: Callable[..., None]
) -> None:
    write_pair(
        tmp_path / "few", "train", torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.arange(3)
    )
    assert "3 training rows and no class twice" in refused(tmp_path / "few")


def test_a_folder_outside_the_roots_is_refused_whether_or_not_it_exists(
    tmp_path: Path, digits_folder: Path
) -> None:
    roots = (str(tmp_path),)
    for argument in (str(digits_folder), "../..", "/nowhere/at/all"):
        with pytest.raises(DataRefused, match="lies outside the data roots") as caught:
            catalog().data["idx"].inspect(DataSource(name="idx", path=argument), roots)
        assert repr(argument) in str(caught.value)
        with pytest.raises(DataRefused, match="lies outside the data roots"):
            load(DataSource(name="idx", path=argument), roots=roots, cache_dir=tmp_path / "cache")


def test_a_link_that_leaves_the_roots_is_followed_before_it_is_judged(
    tmp_path: Path, digits_folder: Path
) -> None:
    (tmp_path / "link").symlink_to(digits_folder)
    with pytest.raises(DataRefused, match="lies outside the data roots"):
        catalog().data["idx"].inspect(DataSource(name="idx", path="link"), (str(tmp_path),))


def test_a_file_that_links_out_of_its_folder_is_refused(folder: Path, digits_folder: Path) -> None:
    path = folder / f"{TRAIN_IMAGES}.gz"
    path.unlink()
    path.symlink_to(digits_folder / path.name)
    assert "is a link out of its folder" in refused(folder)


def test_an_absolute_path_below_a_root_is_taken(digits_folder: Path) -> None:
    shape = (
        catalog()
        .data["idx"]
        .inspect(DataSource(name="idx", path=str(digits_folder)), (str(digits_folder.parent),))
    )
    assert shape.train_rows + shape.val_rows == 1438


def test_a_missing_folder_is_named_with_the_roots(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="There is no folder 'mnits' below") as caught:
        catalog().data["idx"].inspect(DataSource(name="idx", path="mnits"), (str(tmp_path),))
    assert str(tmp_path) in str(caught.value)


def test_idx_without_a_folder_shows_how_to_name_one() -> None:
    with pytest.raises(DataRefused, match=r"data: \{idx: FOLDER\}"):
        catalog().data["idx"].inspect(DataSource(name="idx"), ())


def test_digits_take_no_folder() -> None:
    with pytest.raises(DataRefused, match="'x' was given; write data: digits"):
        catalog().data["digits"].inspect(DataSource(name="digits", path="x"), ())


def test_missing_fashion_mnist_names_the_package_and_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_entry, "DEBIAN_FASHION_MNIST", tmp_path / "absent")
    with pytest.raises(DataRefused) as caught:
        catalog().data["fashion_mnist"].inspect(DataSource(name="fashion_mnist"), (str(tmp_path),))
    assert "apt-get install dataset-fashion-mnist" in str(caught.value)
    assert "data: {idx: FOLDER}" in str(caught.value)


def test_fashion_mnist_is_found_below_a_root(tmp_path: Path, digits_folder: Path) -> None:
    shutil.copytree(digits_folder, tmp_path / "fashion-mnist")
    shape = (
        catalog().data["fashion_mnist"].inspect(DataSource(name="fashion_mnist"), (str(tmp_path),))
    )
    assert shape == inspect(digits_folder)


def test_missing_scikit_learn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sklearn_files, "find_spec", lambda _name: None)
    with pytest.raises(DataRefused, match="pip install scikit-learn"):
        catalog().data["digits"].inspect(DataSource(name="digits"), ())


def test_data_moves_to_its_device_whole(digits: Dataset, tmp_path: Path) -> None:
    moved = load("digits", cache_dir=tmp_path, device="meta")
    tensors = (moved.train.inputs, moved.val.labels, moved.preparation.mean, moved.preparation.std)
    assert {t.device.type for t in tensors} == {"meta"}
    assert moved.shape == digits.shape


def test_cached_files_may_be_shared_by_those_who_only_read(tmp_path: Path) -> None:
    load("digits", cache_dir=tmp_path)
    (cached,) = tmp_path.iterdir()
    os.chmod(cached, 0o444)
    assert load("digits", cache_dir=tmp_path).train.rows == 1438
