"""An image file's pixels, brought to a size and to a number of channels."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from models.data.images.files import ImageTree
from models.data.images.opening import opened

Pixels = npt.NDArray[np.uint8]


def pixels_of_all(
    tree: ImageTree, names: Sequence[str], shape: tuple[int, ...], fit: str
) -> Pixels:
    """The pixels of the files of these names, (N, C, H, W), by `pixels_of` in several threads.

    Raises:
        DataRefused: one is damaged; it is named.
    """
    pixels: Pixels = np.empty((len(names), *shape), np.uint8)

    def read(index: int) -> None:
        with tree.open(names[index]) as file:
            pixels[index] = pixels_of(file, f"{tree.where}: {names[index]}", shape, fit)

    # Pillow lets other threads run while it decodes and resizes, where most of the time goes.
    with ThreadPoolExecutor(max_workers=_cores()) as threads:
        for _ in threads.map(read, range(len(names))):
            pass
    return pixels


def _cores() -> int:
    """Those this process may use; all of them where a system does not tell."""
    tells = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if tells else os.cpu_count() or 1


def pixels_of(file: BinaryIO, name: str, shape: tuple[int, ...], fit: str) -> Pixels:
    """The image as bytes of `shape`, (C, H, W), where C is 1 for grey and 3 for red, green, blue.

    It is turned as the camera noted, laid on white where it is transparent, and made large or
    small with all pixels weighed (bilinear). Of 16 bits a pixel the upper 8 are kept. `fit` is
    one of `options.FITS`. Safe with several threads, which decode at once.

    Raises:
        DataRefused: it is no image, is damaged, or has too many pixels.
    """
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    with opened(file, name) as image:
        # JPEG is decoded small at once, at no less than twice the size: in half the time and less.
        side = 2 * max(width, height)
        image.draft(mode, (side, side))
        ImageOps.exif_transpose(image, in_place=True)
        seen = _in_mode(image, mode)
        if fit == "crop":
            seen = ImageOps.fit(seen, (width, height), Image.Resampling.BILINEAR)
        else:
            seen = seen.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(seen)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        bytes_ = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(bytes_).convert(mode)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        coloured = image.convert("RGBA")
        ground = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(ground, coloured).convert(mode)
    return image if image.mode == mode else image.convert(mode)
