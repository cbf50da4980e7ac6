"""Folders of images: divided as they say, made alike, learned from, and refused in words."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from models.catalog import DataRefused, DataShape, DataSource
from models.data.images import headers
from models.data.loading import Dataset, load
from models.data.preparation import ImagePreparation
from models.entries import catalog
from models.exported.export import save_model
from models.exported.predict import predict
from models.recipe import Recipe
from models.training.train import train


def source(path: str = "pets", **options: Any) -> DataSource:
    return DataSource(name="images", path=path, options=options)


def inspected(root: Path, path: str = "pets", **options: Any) -> DataShape:
    return catalog().data["images"].inspect(source(path, **options), (str(root),))


def explained(root: Path, **options: Any) -> str:
    return " ".join(catalog().data["images"].explain(source(**options), (str(root),)))


def loaded(root: Path, path: str = "pets", **options: Any) -> Dataset:
    data = load(source(path, **options), roots=(str(root),), cache_dir=root / "cache")
    assert inspected(root, path, **options) == data.shape
    return data


def draw(path: Path, size: tuple[int, int] = (8, 8), colour: Any = 0, mode: str = "L") -> Path:
    """An image of one colour; `size` is width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five dark cats and five bright dogs, in ``pets``."""
    for index in range(5):
        draw(tmp_path / "pets" / "cat" / f"{index}.png", colour=10 + index)
        draw(tmp_path / "pets" / "dog" / f"{index}.png", colour=240 + index)
    return tmp_path


def brightness(split: Any) -> list[float]:
    return [float(image.float().mean()) for image in split.inputs]


def test_classes_are_folders_and_each_gives_its_share_to_validation_and_test(root: Path) -> None:
    data = loaded(root)
    assert (data.shape.input_shape, data.shape.classes) == ((1, 8, 8), 2)
    assert (data.train.rows, data.val.rows, data.split("test").rows) == (6, 2, 2)
    splits = [data.train, data.val, data.split("test")]
    found = sorted(value for split in splits for value in brightness(split))
    assert found == [10, 11, 12, 13, 14, 240, 241, 242, 243, 244]
    for split in splits:
        assert [value > 128 for value in brightness(split)] == split.labels.bool().tolist()
        assert set(split.labels.tolist()) == {0, 1}
    assert data.preparation.to_json()["classes"] == ["cat", "dog"]


def test_one_seed_divides_always_alike_and_another_differently(root: Path) -> None:
    for index in range(5, 40):
        draw(root / "pets" / "cat" / f"{index}.png", colour=10 + index)
    roots = (str(root),)
    one, same, other = (
        load(source(), roots=roots, split_seed=seed, cache_dir=root / f"cache{index}")
        for index, seed in enumerate([1, 1, 2])
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_shares_of_the_division_are_options(root: Path) -> None:
    data = loaded(root, test=0, validation=0.4)
    assert (data.train.rows, data.val.rows, data.test) == (6, 4, None)


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_folders_of_splits_are_those_splits(root: Path, val: str) -> None:
    (root / "pets").rename(root / "train")
    (root / "pets").mkdir()
    (root / "train").rename(root / "pets" / "train")
    draw(root / "pets" / val / "dog" / "nested" / "a.png", colour=99)
    draw(root / "pets" / "test" / "cat" / "a.png", colour=77)
    data = loaded(root)
    assert data.train.rows == 10
    assert (brightness(data.val), data.val.labels.tolist()) == ([99.0], [1])
    assert (brightness(data.split("test")), data.split("test").labels.tolist()) == ([77.0], [0])


def test_a_class_may_be_called_train(root: Path) -> None:
    (root / "pets" / "dog").rename(root / "pets" / "train")
    assert loaded(root).preparation.to_json()["classes"] == ["cat", "train"]


def test_images_of_one_size_keep_it_and_others_get_the_median_rounded(root: Path) -> None:
    assert "All images are 8x8 (height x width) and stay so." in explained(root)
    for index in range(11):
        draw(root / "pets" / "dog" / f"wide{index}.png", size=(61, 30))
    assert inspected(root).input_shape == (1, 32, 64)
    assert (
        "Images of 8x8 to 30x61 (height x width) become 32x64, the median, with 128 at most on a "
        "side: their middle cut to that shape." in explained(root)
    )


def test_the_median_is_bounded_on_its_longer_side(root: Path) -> None:
    for index in range(11):
        draw(root / "pets" / "dog" / f"wide{index}.png", size=(1000, 500))
    assert inspected(root).input_shape == (1, 64, 128)


@pytest.mark.parametrize(("size", "expected"), [(24, (24, 24)), ([16, 40], (16, 40))])
def test_a_size_may_be_said(root: Path, size: Any, expected: tuple[int, int]) -> None:
    data = loaded(root, size=size, fit="stretch")
    assert tuple(data.train.inputs.shape[2:]) == expected
    assert "as told: stretched to that shape." in explained(root, size=size, fit="stretch")


def test_cropping_keeps_the_middle_and_stretching_keeps_all(root: Path) -> None:
    striped = np.zeros((8, 24), np.uint8)
    striped[:, :8] = striped[:, 16:] = 255
    for name in ("train", "val"):
        for label in ("cat", "dog"):
            path = draw(root / "stripes" / name / label / "a.png")
            Image.fromarray(striped).save(path)
    cropped = loaded(root, "stripes", size=8, test=0)
    assert brightness(cropped.val) == [0.0, 0.0]
    stretched = loaded(root, "stripes", size=8, test=0, fit="stretch")
    assert brightness(stretched.val) == pytest.approx([170, 170], abs=3)


def test_one_coloured_image_makes_all_coloured_unless_grey_is_told(root: Path) -> None:
    assert "They are read in grey, as all are." in explained(root)
    draw(root / "pets" / "cat" / "red.png", colour=(200, 0, 0), mode="RGB")
    assert inspected(root).input_shape == (3, 8, 8)
    assert "They are read in colour, as not all are grey." in explained(root)
    assert inspected(root, colour="grey").input_shape == (1, 8, 8)
    assert "They are read in grey, as told." in explained(root, colour="grey")


@pytest.mark.parametrize(
    ("mode", "colour", "suffix", "expected"),
    [
        ("RGB", (200, 100, 50), "png", (200, 100, 50)),
        ("RGBA", (200, 100, 50, 0), "png", (255, 255, 255)),
        ("RGBA", (0, 0, 0, 255), "webp", (0, 0, 0)),
        ("LA", (0, 128), "png", (127, 127, 127)),
        ("CMYK", (0, 255, 255, 0), "jpg", (254, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "tiff", (255, 0, 0)),
        ("1", 1, "png", (255, 255, 255)),
        ("P", 0, "gif", (0, 0, 0)),
        ("P", 0, "bmp", (0, 0, 0)),
        ("I;16", 0x8123, "png", (0x81, 0x81, 0x81)),
        ("I;16", 0x8123, "tif", (0x81, 0x81, 0x81)),
    ],
)
def test_every_kind_of_pixel_becomes_bytes(
    root: Path, mode: str, colour: Any, suffix: str, expected: tuple[int, ...]
) -> None:
    for name in ("train", "val"):
        for label in ("cat", "dog"):
            draw(root / "kinds" / name / label / f"a.{suffix}", colour=colour, mode=mode)
    data = loaded(root, "kinds", colour="rgb", test=0)
    assert data.val.inputs[0, :, 4, 4].tolist() == pytest.approx(expected, abs=2)


def test_a_palette_of_greys_is_grey_and_one_of_colours_is_not(root: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 90, 90, 90])
    image.save(root / "pets" / "cat" / "grey.png")
    assert inspected(root).input_shape == (1, 8, 8)
    image.putpalette([0, 0, 0, 90, 20, 90])
    image.save(root / "pets" / "cat" / "violet.png")
    assert inspected(root).input_shape == (3, 8, 8)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_an_image_stands_as_its_camera_noted(root: Path, suffix: str) -> None:
    pixels = np.zeros((16, 32), np.uint8)
    pixels[:, :16] = 255  # on the left; a quarter turn clockwise brings it to the top
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("train", "val"):
        for label in ("cat", "dog"):
            path = draw(root / "turned" / name / label / f"a.{suffix}")
            Image.fromarray(pixels).save(path, exif=exif)
    data = loaded(root, "turned", test=0)
    assert data.shape.input_shape == (1, 32, 16)
    assert float(data.val.inputs[0, 0, :15].float().mean()) > 240
    assert float(data.val.inputs[0, 0, 17:].float().mean()) < 15


def test_what_is_no_image_is_ignored_and_told(root: Path) -> None:
    (root / "pets" / "cat" / "notes.txt").write_text("meow")
    (root / "pets" / "cat" / "._0.png").write_text("no image")
    (root / "pets" / ".git").mkdir()
    draw(root / "pets" / "lost.png")
    assert loaded(root).train.rows == 6
    assert (
        "2 files that are no images, or in no class's folder, are ignored, such as cat/notes.txt."
        in explained(root)
    )


def test_sizes_of_many_images_are_told_from_some(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "MOST_HEADERS", 4)
    assert "Sizes and colours are those of 4 images spread over all." in explained(root)
    assert inspected(root, size=9).train_rows == 6


def test_images_are_packed_once_and_anew_when_one_changes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = loaded(root)
    with monkeypatch.context() as patched:
        patched.setattr("models.data.loading.whole", lambda *_: pytest.fail("read again"))
        assert loaded(root).fingerprint == before.fingerprint
    draw(root / "pets" / "cat" / "0.png", colour=99)
    assert loaded(root).fingerprint != before.fingerprint


def zipped(root: Path, *, top: str = "") -> None:
    with ZipFile(root / "pets.zip", "w") as archive:
        for file in sorted((root / "pets").rglob("*.png")):
            archive.write(file, f"{top}{file.relative_to(root / 'pets')}")
        archive.writestr("__MACOSX/pets/cat/._0.png", b"no image")


@pytest.mark.parametrize("top", ["", "pets/", "../"])
def test_a_zip_file_is_read_as_the_folder_in_it(root: Path, top: str) -> None:
    zipped(root, top=top)
    assert loaded(root, "pets.zip").fingerprint == loaded(root).fingerprint


def test_inspection_imports_neither_torch_nor_numpy_and_the_entry_no_pillow(
    root: Path,
) -> None:
    program = (
        "import sys\n"
        "from models.entries import catalog\n"
        "from models.catalog import DataSource\n"
        "assert 'PIL' not in sys.modules\n"
        f"source, roots = DataSource(name='images', path='pets'), ({str(root)!r},)\n"
        "assert catalog().data['images'].inspect(source, roots).classes == 2\n"
        "assert not {'torch', 'numpy'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_network_learns_a_folder_and_names_the_classes_of_new_images(
    tmp_path: Path, digits: Dataset, make_recipe: Callable[..., Recipe]
) -> None:
    names = [f"digit {label}" for label in range(10)]
    for index, (image, label) in enumerate(
        zip(digits.train.inputs[:600], digits.train.labels[:600].tolist(), strict=True)
    ):
        path = tmp_path / "digits" / names[label] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy() * 15).save(path)
    data = loaded(tmp_path, "digits")
    *_, last = train(make_recipe("mlp", data=source("digits"), epochs=12), data)
    assert last.metrics["val_accuracy"] > 0.8
    save_model(tmp_path / "model", last.checkpoint())
    answers = predict(tmp_path / "model", tmp_path / "digits")
    assert len(answers.files) == 600
    right = [
        file.startswith(f"{value}/")
        for file, value in zip(answers.files, answers.values, strict=True)
    ]
    assert sum(right) > 540
    alone = predict(tmp_path / "model", tmp_path / "digits" / answers.files[7])
    assert alone.files == (Path(answers.files[7]).name,)
    assert alone.values == answers.values[7:8]


def test_a_network_of_arrays_takes_no_image_files(
    root: Path, digits: Dataset, make_recipe: Callable[..., Recipe]
) -> None:
    save_model(root / "model", next(train(make_recipe(epochs=1), digits)).checkpoint())
    with pytest.raises(DataRefused, match="but the network was trained with arrays; give it a"):
        predict(root / "model", root / "pets")


def test_a_folder_without_images_is_not_predicted(
    root: Path, make_recipe: Callable[..., Recipe]
) -> None:
    data = loaded(root)
    save_model(root / "model", next(train(make_recipe(epochs=1), data)).checkpoint())
    with pytest.raises(DataRefused, match=r"cache has no image \(\.png, .*\); name another folder"):
        predict(root / "model", root / "cache")


@pytest.mark.parametrize("shape", [(4, 3, 6, 5), (2, 1, 4, 4), (1, 3, 1, 1), (3, 13, 2, 7)])
def test_bytes_are_normalised_channel_by_channel(shape: tuple[int, ...]) -> None:
    rows = torch.randint(0, 256, shape, dtype=torch.uint8)
    mean, std = torch.rand(shape[1], 1, 1) * 99, torch.rand(shape[1], 1, 1) + 1
    before = rows.clone()
    inputs = ImagePreparation(mean=mean, std=std)(rows)
    assert torch.equal(inputs, (rows.float() - mean) / std)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(rows, before)
