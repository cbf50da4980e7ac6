"""What the headers of images tell: sizes and colours, without reading a pixel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from PIL import Image

from models.data.images.files import ImageTree
from models.data.images.opening import opened

#: The headers of so many images tell for all; reading them takes a second.
MOST_HEADERS: Final = 5000
#: The longest side that images are given unless a size is said: larger ones train for hours on a
#: CPU, and are seldom told apart better by a small network.
LONGEST_SIDE: Final = 128
#: Sides of images of several sizes are made multiples of it, so that maps can be halved.
_MULTIPLE: Final = 8
_ORIENTATION: Final = 0x0112
_GREY_MODES: Final = frozenset({"1", "L", "LA", "La"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """What the headers of the images looked at have in common."""

    #: Images looked at.
    looked_at: int
    #: Heights and widths, as they are seen: after the turn that a camera notes.
    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    #: Whether all are grey.
    grey: bool

    @property
    def size(self) -> tuple[int, int]:
        """The height and width to give to all: the median, rounded, its longer side bounded."""
        if self.smallest == self.largest and max(self.largest) <= LONGEST_SIDE:
            return self.largest
        scale = min(1.0, LONGEST_SIDE / max(self.median))
        height, width = (max(1, round(side * scale / _MULTIPLE)) for side in self.median)
        return height * _MULTIPLE, width * _MULTIPLE


def read_headers(tree: ImageTree, names: Sequence[str]) -> Headers:
    """Of all images, or of `MOST_HEADERS` spread evenly over them.

    Raises:
        DataRefused: one is damaged, or has pixels no network takes.
    """
    step = max(1, len(names) / MOST_HEADERS)
    chosen = [names[int(index * step)] for index in range(min(len(names), MOST_HEADERS))]
    sizes, greys = zip(*_facts(tree, chosen), strict=True)
    heights, widths = zip(*sizes, strict=True)
    return Headers(
        looked_at=len(chosen),
        smallest=(min(heights), min(widths)),
        median=(round(median(heights)), round(median(widths))),
        largest=(max(heights), max(widths)),
        grey=all(greys),
    )


def _facts(tree: ImageTree, names: Sequence[str]) -> Iterator[tuple[tuple[int, int], bool]]:
    for name in names:
        with tree.open(name) as file, opened(file, f"{tree.where}: {name}") as image:
            height, width = image.height, image.width
            yield ((width, height) if _lies_on_its_side(image) else (height, width)), _grey(image)


def _lies_on_its_side(image: Image.Image) -> bool:
    """Whether a quarter turn is noted; asked only where it can be told without the pixels."""
    return "exif" in image.info and image.getexif().get(_ORIENTATION, 1) >= 5


def _grey(image: Image.Image) -> bool:
    if image.mode == "P":
        palette = image.getpalette() or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in _GREY_MODES or image.mode.startswith("I;16")
