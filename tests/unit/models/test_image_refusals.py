"""Folders of images that cannot be used say why and what to do."""

import io
import os
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import psutil
import pytest
from PIL import Image

from models.catalog import DataRefused, DataSource
from models.data.loading import load
from models.entries import catalog


def inspect(root: Path, path: str | None = "pets", **options: Any) -> None:
    source = DataSource(name="images", path=path, options=options)
    catalog().data["images"].inspect(source, (str(root),))


def refused(root: Path, path: str | None = "pets", **options: Any) -> str:
    with pytest.raises(DataRefused) as caught:
        inspect(root, path, **options)
    return str(caught.value)


def refused_when_read(root: Path) -> str:
    """Inspection sees nothing wrong; reading does."""
    inspect(root)
    source = DataSource(name="images", path="pets")
    with pytest.raises(DataRefused) as caught:
        load(source, roots=(str(root),), cache_dir=root / "cache")
    return str(caught.value)


def draw(path: Path, mode: str = "L", colour: Any = 7) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (40, 40), colour).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        for index in range(4):
            draw(tmp_path / "pets" / label / f"{index}.png")
    return tmp_path


def test_no_folder_is_named(root: Path) -> None:
    assert refused(root, None) == (
        "images need a folder with a folder for each class, or a zip file of one: "
        "write data: {images: FOLDER}."
    )


def test_the_folder_is_missing(root: Path) -> None:
    assert "There is no folder or file 'birds' below the data roots" in refused(root, "birds")


def test_the_folder_lies_outside_the_roots(root: Path) -> None:
    assert "'..' lies outside the data roots" in refused(root, "..")


def test_the_file_is_no_zip(root: Path) -> None:
    assert refused(root, "pets/cat/0.png") == (
        "0.png is neither a folder nor a zip file; name the folder that holds a folder for each "
        "class."
    )


def test_the_folder_is_empty(root: Path) -> None:
    (root / "none" / "cat").mkdir(parents=True)
    assert refused(root, "none") == (
        "Folder none has no image (.png, .jpg, .jpeg, .bmp, .gif, .webp, .tif, .tiff, .ppm, .pgm); "
        "put them in a folder for each class, CLASS/IMAGE."
    )


def test_images_lie_directly_in_the_folder(root: Path) -> None:
    assert refused(root, "pets/cat") == (
        "Folder cat has 4 images directly in it, such as 0.png, and no folders of classes; make a "
        "folder for each class, CLASS/IMAGE."
    )


def test_there_is_one_class_only(root: Path) -> None:
    shutil.rmtree(root / "pets" / "dog")
    assert refused(root) == (
        "Folder pets has images of one class only, 'cat'; add a folder for each other class."
    )


def test_a_class_has_too_few_images(root: Path) -> None:
    draw(root / "pets" / "owl" / "a.png")
    assert refused(root) == (
        "Folder pets has 1 image of class 'owl'; it needs 3, one each to learn from, validate "
        "with, test with: add images, or remove the folder."
    )
    draw(root / "pets" / "owl" / "b.png")
    assert "2 images of class 'owl'; it needs 3" in refused(root)
    inspect(root, test=0)


def test_a_folder_beside_train_is_no_split(root: Path) -> None:
    shutil.copytree(root / "pets", root / "sets" / "train")
    draw(root / "sets" / "extra" / "cat" / "a.png")
    assert refused(root, "sets") == (
        "Folder sets has 'extra' beside 'train'; folders beside it are val and test: move it into "
        "one of them."
    )


def test_a_class_is_not_in_train(root: Path) -> None:
    shutil.copytree(root / "pets", root / "sets" / "train")
    draw(root / "sets" / "test" / "owl" / "a.png")
    assert refused(root, "sets") == (
        "Folder sets has images of 'owl' in test and none in train; add some there, or remove the "
        "folder."
    )


def test_a_file_is_no_image_but_is_called_so(root: Path) -> None:
    (root / "pets" / "dog" / "a.png").write_text("woof")
    assert refused(root) == (
        "Folder pets: dog/a.png is no image, has no pixels or is damaged (its format is "
        "unknown); replace or remove it."
    )


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_an_image_is_cut_short(root: Path, suffix: str) -> None:
    image, file = Image.effect_noise((200, 200), 50), io.BytesIO()
    image.save(file, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
    data = file.getvalue()
    (root / "pets" / "dog" / f"cut.{suffix}").write_bytes(data[: len(data) // 2])
    source = DataSource(name="images", path="pets")
    with pytest.raises(
        DataRefused, match=rf"pets: dog/cut\.{suffix} is no image, has no pixels or is damaged \("
    ):
        load(source, roots=(str(root),), cache_dir=root / "cache")


def test_an_image_is_damaged_inside(root: Path) -> None:
    path = root / "pets" / "dog" / "1.png"
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(data)
    assert "Folder pets: dog/1.png is no image, has no pixels or is damaged (" in refused_when_read(
        root
    )


def png(width: int, height: int) -> bytes:
    """A PNG file that announces so many pixels and has none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    )


def test_an_image_has_no_pixels(root: Path) -> None:
    (root / "pets" / "dog" / "a.png").write_bytes(png(0, 4))
    assert refused(root) == (
        "Folder pets: dog/a.png is no image, has no pixels or is damaged (its format "
        "is unknown); replace or remove it."
    )


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_an_image_is_a_bomb(root: Path, side: int) -> None:
    (root / "pets" / "dog" / "a.png").write_bytes(png(side, side))
    message = refused(root)
    assert message.startswith("Folder pets: dog/a.png is too large: ")
    assert message.endswith("89,478,485 pixels are the most. Make it smaller, or remove it.")


def test_pixels_are_of_no_known_range(root: Path) -> None:
    draw(root / "pets" / "dog" / "a.tif", "F", 0.5)
    assert refused(root) == (
        "Folder pets: dog/a.tif has pixels of 32 bits (mode F), whose range is not known; save it "
        "with 8 or 16 bits."
    )


@pytest.mark.parametrize("name", ["cat/out.png", "owl"])
def test_a_link_leads_out_of_the_roots(
    root: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    draw(outside / "a.png")
    (root / "pets" / name).symlink_to(outside / "a.png" if "." in name else outside)
    assert refused(root) == (
        f"Folder pets: {name} is a link that leads out of the data roots; put the file itself "
        "there."
    )


def test_links_below_the_roots_are_followed_and_a_ring_of_them_ends(root: Path) -> None:
    for index in range(4):
        draw(root / "more" / f"{index}.png")
    os.symlink(root / "more", root / "pets" / "owl")
    os.symlink(root / "pets", root / "pets" / "owl" / "ring")
    source = DataSource(name="images", path="pets")
    shape = catalog().data["images"].inspect(source, (str(root),))
    assert shape.classes == 3


def test_there_are_more_images_than_memory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Little:
        available = 3200

    monkeypatch.setattr(psutil, "virtual_memory", Little)
    assert refused(root) == (
        "Folder pets: 8 images of 1x40x40 take 0.0 MB of memory; 0.0 MB are free: write "
        "size: [20, 20], or take fewer images."
    )


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        (
            "size",
            0,
            "size = 0 must be a whole number of pixels or [HEIGHT, WIDTH], 1 to 4096 each.",
        ),
        ("size", [8], "size = [8] must be a whole number"),
        ("size", "8", "size = '8' must be a whole number"),
        ("size", True, "size = True must be a whole number"),
        ("fit", "pad", "fit = 'pad' must be one of crop, stretch."),
        ("colour", "red", "colour = 'red' must be one of auto, grey, rgb."),
        ("colour", ["red"], "colour = ['red'] must be one of auto, grey, rgb."),
        ("test", 0.9, "test = 0.9 must be a share, 0 to 0.5, such as 0.2."),
        ("test", "all", "test = 'all' must be a share, 0 to 0.5, such as 0.2."),
        ("validation", 0, "validation = 0 must be a share, above 0 to 0.5, such as 0.2."),
    ],
)
def test_an_option_is_impossible(root: Path, option: str, value: Any, message: str) -> None:
    assert refused(root, **{option: value}).startswith(message)


def test_a_zip_file_is_damaged(root: Path) -> None:
    with ZipFile(root / "pets.zip", "w") as archive:
        for file in sorted((root / "pets").rglob("*.png")):
            archive.write(file, file.relative_to(root / "pets"))
    data = bytearray((root / "pets.zip").read_bytes())
    data[60] ^= 0xFF
    (root / "pets.zip").write_bytes(data)
    assert refused(root, "pets.zip") == (
        "File pets.zip: cat/0.png cannot be read (Bad CRC-32 for file 'cat/0.png'); pack it anew, "
        "without a password."
    )
