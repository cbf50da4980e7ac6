"""Image files opened with Pillow, and what it complains of put into words."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from PIL import Image, UnidentifiedImageError
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from models.catalog import DataRefused

#: Only these are tried, each known once its module is imported. Others, such as PostScript, would
#: start programs.
_FORMATS: Final = tuple(
    str(kind.format)
    for kind in (
        PngImageFile, JpegImageFile, BmpImageFile, GifImageFile, WebPImageFile, TiffImageFile,
        PpmImageFile,
    )
)  # fmt: skip
#: What Pillow raises for files that are cut short or damaged; it has no class of its own.
_BROKEN: Final = (
    OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, OverflowError, struct.error,
    zlib.error,
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
        reason = "its format is unknown" if isinstance(error, UnidentifiedImageError) else error
        raise DataRefused(
            f"{name} is no image, has no pixels or is damaged ({reason}); replace or remove it."
        ) from error


def _check(image: Image.Image, name: str) -> None:
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
