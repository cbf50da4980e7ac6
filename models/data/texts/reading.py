"""The characters of a text file, read as a stream."""

import codecs
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import psutil

from models.catalog import DataRefused

Points = npt.NDArray[np.uint32]

#: Of a byte of text, at the worst moment: 5 were measured of ASCII and 7 of Chinese.
BYTES_PER_BYTE: Final = 8
_CHUNK_BYTES: Final = 1 << 20
_BYTE_ORDER_MARK: Final = 0xFEFF


def read_points(path: Path, *, available_bytes: int | None = None) -> Points:
    """The code points (N,) of the characters, without a byte order mark at the beginning.

    `available_bytes` is what memory it may take; where None, what the host has free.

    Raises:
        DataRefused: the file is empty, not UTF-8, or too large.
    """
    size = path.stat().st_size
    _check_memory(path, size, available_bytes)
    # No text has more characters than bytes; pages that are not written to take no memory.
    points = np.empty(size, dtype=np.uint32)
    decoder = codecs.getincrementaldecoder("utf-8")()
    read = filled = 0
    with path.open("rb") as file:
        while read < size:
            chunk = file.read(min(_CHUNK_BYTES, size - read))
            read += len(chunk)
            text = _decoded(decoder, chunk, read, path, last=read == size or not chunk)
            points[filled : filled + len(text)] = np.frombuffer(
                text.encode("utf-32-le"), dtype="<u4"
            )
            filled += len(text)
            if not chunk:
                break
    points = points[:filled]
    points = points[1:] if filled and points[0] == _BYTE_ORDER_MARK else points
    if not len(points):
        raise DataRefused(f"{path.name} is empty; write text into it.")
    return points


def _decoded(
    decoder: codecs.IncrementalDecoder, chunk: bytes, read: int, path: Path, *, last: bool
) -> str:
    """The characters of a chunk that ends `read` bytes from the file's beginning."""
    try:
        return decoder.decode(chunk, last)
    except UnicodeDecodeError as error:
        # What is decoded begins with the bytes left over from the chunk before.
        offset = read - len(error.object) + error.start
        raise DataRefused(
            f"{path.name} is not UTF-8: byte 0x{error.object[error.start]:02x} at offset "
            f"{offset:,} ({error.reason}); save it as UTF-8, as iconv -t UTF-8 does."
        ) from error


def _check_memory(path: Path, size: int, available_bytes: int | None) -> None:
    available = psutil.virtual_memory().available if available_bytes is None else available_bytes
    needed = size * BYTES_PER_BYTE
    if needed > available:
        raise DataRefused(
            f"{path.name} has {_size(size)} of text, which takes about {_size(needed)} of memory; "
            f"{_size(available)} are free: take a part of it."
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
