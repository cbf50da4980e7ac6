"""Which images are of which class and split, told by their names alone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from models.catalog import DataRefused

#: Ends of the names of images; a file with another end is none, and is ignored.
SUFFIXES: Final = (
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
)
#: Folders that divide the images, and the splits they are.
SPLITS: Final[Mapping[str, str]] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images by name, in the order of their names, with the codes of their classes."""

    names: tuple[str, ...]
    codes: tuple[int, ...]

    @property
    def counts(self) -> Counter[int]:
        """Images of each class."""
        return Counter(self.codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A folder's images; `val` and `test` are None where it has no such folder."""

    #: Names of the classes in the order of their codes, which is that of the names.
    classes: tuple[str, ...]
    train: Images
    val: Images | None
    test: Images | None
    #: Files that are no images, and images in no class's folder.
    ignored: tuple[str, ...]


def is_image(name: str) -> bool:
    """Whether the name is an image's, and not a hidden one's."""
    return name.lower().endswith(SUFFIXES) and not _is_hidden(name)


def layout_of(where: str, names: Iterable[str]) -> Layout:
    """What the files of these names are: ``CLASS/…/IMAGE``, or ``train/CLASS/…/IMAGE`` and so
    with ``val`` and ``test``.

    Hidden files and those in hidden folders do not count. `where` is for messages.

    Raises:
        DataRefused: there are no images, no classes, only one, or a class to learn is missing.
    """
    shown = sorted(name for name in names if not _is_hidden(name))
    images = [name for name in shown if is_image(name)]
    if not images:
        raise DataRefused(
            f"{where} has no image ({', '.join(SUFFIXES)}); put them in a folder for each class, "
            "CLASS/IMAGE."
        )
    inside = [name for name in images if "/" in name]
    if not inside:
        raise DataRefused(
            f"{where} has {len(images)} images directly in it, such as {images[0]}, and no folders "
            "of classes; make a folder for each class, CLASS/IMAGE."
        )
    splits = _splits(where, inside)
    placed = {name for members in splits.values() for name, _class in members}
    return _coded(where, splits, tuple(name for name in shown if name not in placed))


def _is_hidden(name: str) -> bool:
    """Also what macOS puts into archives beside every file."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _splits(where: str, images: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Of each split its images, with the names of their classes."""
    tops = {name.partition("/")[0] for name in images}
    # A class may be called train: then its images are directly in its folder.
    divided = "train" in tops and not any(_depth(n) == 2 for n in images if _top(n) == "train")
    if not divided:
        return {"train": [(name, _top(name)) for name in images]}
    strange = sorted(tops - SPLITS.keys())
    if strange:
        raise DataRefused(
            f"{where} has {strange[0]!r} beside 'train'; folders beside it are val and test: "
            "move it into one of them."
        )
    splits: dict[str, list[tuple[str, str]]] = {}
    for name in images:
        parts = name.split("/")
        if len(parts) > 2:
            splits.setdefault(SPLITS[parts[0]], []).append((name, parts[1]))
    return splits


def _top(name: str) -> str:
    return name.partition("/")[0]


def _depth(name: str) -> int:
    return len(PurePosixPath(name).parts)


def _coded(
    where: str, splits: Mapping[str, list[tuple[str, str]]], ignored: tuple[str, ...]
) -> Layout:
    classes = tuple(sorted({label for _name, label in splits["train"]}))
    if len(classes) < 2:
        raise DataRefused(
            f"{where} has images of one class only, {classes[0]!r}; add a folder for each other "
            "class."
        )
    codes = {label: code for code, label in enumerate(classes)}

    def images(split: str) -> Images:
        unknown = sorted({label for _name, label in splits[split]} - codes.keys())
        if unknown:
            raise DataRefused(
                f"{where} has images of {unknown[0]!r} in {split} and none in train; add some "
                "there, or remove the folder."
            )
        names, labels = zip(*splits[split], strict=True)
        return Images(names=names, codes=tuple(codes[label] for label in labels))

    return Layout(
        classes=classes,
        train=images("train"),
        val=images("val") if "val" in splits else None,
        test=images("test") if "test" in splits else None,
        ignored=ignored,
    )
