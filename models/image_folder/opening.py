"""Image files opened with Pillow, and what it complains of put into words."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from PIL import Image

from models.catalog import DataRefused

#: Only these are tried: others, such as PostScript, would start programs.
_FORMATS: Final = ("PNG", "JPEG", "MPO", "BMP", "GIF", "WEBP", "TIFF", "PPM")
#: What Pillow raises for files that are cut short or damaged; it has no class of its own.
_BROKEN: Final = (
    OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError,
    ZeroDivisionError, OverflowError, struct.error, zlib.error,
)  # fmt: skip
_BOMB: Final = (Image.DecompressionBombError, Image.DecompressionBombWarning)
#: Pixels of more than 16 bits, whose range nobody knows.
_UNBOUNDED: Final = frozenset({"I", "F"})


@contextmanager
def opened(file: BinaryIO, name: str) -> Iterator[Image.Image]:
    """The image in `file`, of which the header alone is read; `name` is for messages.

    What is done with the image within the context may find it damaged as well.

    Raises:
        DataRefused: it is no image, is damaged, has no pixels, too many, or strange ones.
    """
    try:
        with Image.open(file, formats=_FORMATS) as image:
            _check(image, name)
            yield image
    except _BOMB as error:
        raise _too_large(name, str(error)) from error
    except _BROKEN as error:
        reason = str(error).replace(repr(file), "it")
        raise DataRefused(
            f"{name} is damaged or no image ({reason}); replace or remove it."
        ) from error


def _check(image: Image.Image, name: str) -> None:
    if not image.width * image.height:
        raise DataRefused(
            f"{name} has no pixels ({image.width} x {image.height}); replace or remove it."
        )
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
        raise _too_large(name, f"{image.width} x {image.height} pixels")
    if image.mode in _UNBOUNDED:
        raise DataRefused(
            f"{name} has pixels of 32 bits (mode {image.mode}), whose range is not known; save it "
            "with 8 or 16 bits."
        )


def _too_large(name: str, what: str) -> DataRefused:
    return DataRefused(
        f"{name} is too large: {what}; {Image.MAX_IMAGE_PIXELS:,} pixels are the most. "
        "Make it smaller, or remove it."
    )
