"""What a spec says of a folder of images, and whether it makes sense."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.catalog import DataRefused

NAMES: Final = ("size", "fit", "colour", "test", "validation")
FITS: Final = ("crop", "stretch")
COLOURS: Final = ("auto", "grey", "rgb")
#: The longest side an image may be given.
LARGEST_SIDE: Final = 4096
#: Larger shares leave more to judge by than to learn from.
_LARGEST_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """How images are made alike, and how they are divided."""

    #: Height and width of every image; None for the median of what there is.
    size: tuple[int, int] | None = None
    #: How an image of another shape gets that size: its middle, cut to the shape (``crop``), or
    #: all of it, distorted (``stretch``).
    fit: str = "crop"
    #: ``grey``, ``rgb``, or ``auto``: grey where all images are.
    colour: str = "auto"
    #: Share of each class set aside and never used in the search, where there is no folder test.
    test: float = 0.2
    #: Share of each class's other images that validates, where there is no folder val.
    validation: float = 0.2


def image_options(options: Mapping[str, Any]) -> ImageOptions:
    """The options a source has, checked.

    Raises:
        DataRefused: one has an impossible value.
    """
    for name, choices in (("fit", FITS), ("colour", COLOURS)):
        if options.get(name, choices[0]) not in choices:
            raise DataRefused(f"{name} = {options[name]!r} must be one of {', '.join(choices)}.")
    for name, least in (("test", "0"), ("validation", "above 0")):
        share = options.get(name, 0.2)
        possible = not isinstance(share, bool) and isinstance(share, int | float)
        if not possible or not 0 <= share <= _LARGEST_SHARE or (share == 0 and name != "test"):
            raise DataRefused(
                f"{name} = {share!r} must be a share, {least} to {_LARGEST_SHARE}, such as 0.2."
            )
    size = _size(options["size"]) if "size" in options else None
    return ImageOptions(**{**options, "size": size})


def _size(size: Any) -> tuple[int, int]:
    sides = [size, size] if isinstance(size, int) else size
    if isinstance(sides, list | tuple) and len(sides) == 2 and all(map(_is_side, sides)):
        return sides[0], sides[1]
    raise DataRefused(
        f"size = {size!r} must be a whole number of pixels or [HEIGHT, WIDTH], "
        f"1 to {LARGEST_SIDE} each."
    )


def _is_side(side: object) -> bool:
    return isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= LARGEST_SIDE
