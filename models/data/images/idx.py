"""IDX files, the format of MNIST and its kin: checked and counted without reading the images.

A file is a magic number (two zero bytes, the type 0x08 for bytes, the number of dimensions), one
big-endian 32-bit size for each dimension, and the bytes; gzip around it is common.
"""

import gzip
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, Final

from models.catalog import DataRefused
from models.data.roots import lies_below

_CHUNK: Final = 1 << 20
#: What a broken gzip file raises, in the three places that notice.
_BROKEN: Final = (EOFError, OSError, zlib.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdxFile:
    """One file's header: its path, the sizes of its dimensions, and where the bytes begin."""

    path: Path
    sizes: tuple[int, ...]

    @property
    def header_bytes(self) -> int:
        """Bytes before the data."""
        return 4 + 4 * len(self.sizes)

    @property
    def data_bytes(self) -> int:
        """Bytes of data the header announces."""
        return prod(self.sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdxPair:
    """Images and their labels, as many of one as of the other."""

    images: IdxFile
    labels: IdxFile
    #: Rows of each label.
    counts: Counter[int]


def find_pair(folder: Path, prefix: str) -> IdxPair | None:
    """The checked pair ``<prefix>-images-idx3-ubyte[.gz]`` and labels; None where both are missing.

    Raises:
        DataRefused: one of the two is missing, or they are not what they say.
    """
    images_path = _find(folder, f"{prefix}-images-idx3-ubyte")
    labels_path = _find(folder, f"{prefix}-labels-idx1-ubyte")
    if images_path is None and labels_path is None:
        return None
    if images_path is None or labels_path is None:
        missing = "images-idx3" if images_path is None else "labels-idx1"
        raise DataRefused(f"{folder} has no file {prefix}-{missing}-ubyte[.gz]; add it.")
    images, labels = read_header(images_path, dimensions=3), read_header(labels_path, dimensions=1)
    if images.sizes[0] != labels.sizes[0]:
        raise DataRefused(
            f"{images.path.name} has {images.sizes[0]} images but {labels.path.name} has "
            f"{labels.sizes[0]} labels, in {folder}; the two files do not belong together."
        )
    if images.data_bytes == 0:
        raise DataRefused(f"{images.path} holds no image ({_product(images.sizes)}).")
    counts: Counter[int] = Counter()
    for chunk in data_of(labels):
        counts.update(chunk)
    return IdxPair(images=images, labels=labels, counts=counts)


def _find(folder: Path, name: str) -> Path | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            if not lies_below(path.resolve(), [folder]):
                raise DataRefused(f"{path} is a link out of its folder; put the file itself there.")
            return path
    return None


def read_header(path: Path, *, dimensions: int) -> IdxFile:
    """The header of the file, its magic number and its length checked.

    Raises:
        DataRefused: it is no IDX file of bytes with so many dimensions, or is cut short.
    """
    wanted = bytes((0, 0, 8, dimensions))
    try:
        with _open(path) as file:
            header = file.read(4 + 4 * dimensions)
    except _BROKEN as error:
        raise DataRefused(f"{path} cannot be read ({error}); copy it again.") from error
    if header[:4] != wanted:
        raise DataRefused(
            f"{path} begins with 0x{header[:4].hex()}; an IDX file of {dimensions} "
            f"dimension{'s' * (dimensions > 1)} of bytes begins with 0x{wanted.hex()}."
        )
    if len(header) < 4 + 4 * dimensions:
        raise DataRefused(f"{path} ends within its header; copy it again.")
    file_header = IdxFile(path=path, sizes=struct.unpack(f">{dimensions}I", header[4:]))
    _check_length(file_header)
    return file_header


def _check_length(file: IdxFile) -> None:
    """A file's length tells; a gzip file ends with it, and where that differs is read through."""
    expected = file.header_bytes + file.data_bytes
    if file.path.suffix != ".gz":
        _refuse_unless_length(file, file.path.stat().st_size)
        return
    with file.path.open("rb") as raw:
        raw.seek(-4, 2)
        (announced,) = struct.unpack("<I", raw.read(4))
    if announced != expected % (1 << 32):
        for _ in data_of(file):
            pass


def _refuse_unless_length(file: IdxFile, found: int) -> None:
    expected = file.header_bytes + file.data_bytes
    if found != expected:
        raise DataRefused(
            f"{file.path} has {found} bytes, but its header announces {_product(file.sizes)}, "
            f"which takes {expected}; it is cut short or damaged: copy it again."
        )


def data_of(file: IdxFile) -> Iterator[bytes]:
    """The data, chunk by chunk.

    Raises:
        DataRefused: it is shorter or longer than announced, or the compression is broken.
    """
    seen = 0
    try:
        with _open(file.path) as opened:
            opened.read(file.header_bytes)
            # One chunk too many is enough to know: a bomb is not unpacked.
            while seen <= file.data_bytes and (chunk := opened.read(_CHUNK)):
                seen += len(chunk)
                yield chunk
    except _BROKEN as error:
        raise DataRefused(
            f"{file.path} is cut short or damaged ({error}); copy it again."
        ) from error
    _refuse_unless_length(file, file.header_bytes + seen)


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _product(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
