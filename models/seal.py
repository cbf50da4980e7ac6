"""The seal of a file: any damage is noticed, without PyTorch and without holding it in memory.

It is the SHA-256 of the whole file with 64 zeros in the seal's own place, so that it covers every
byte, header and document included.
"""

import hashlib
from typing import BinaryIO, Final

from models.exported.header import LONGEST

UNSEALED: Final = "0" * 64
_KEY: Final = b'"sha256":"'
_CHUNK_BYTES: Final = 1 << 20


class Damaged(Exception):
    """The bytes are not those that were sealed."""


def seal(data: bytearray) -> None:
    """Put the seal in the place of `UNSEALED`, the value of ``sha256`` in the header's metadata."""
    place = data.index(_KEY + UNSEALED.encode()) + len(_KEY)
    data[place : place + 64] = hashlib.sha256(data).hexdigest().encode()


def read_sealed_header(file: BinaryIO) -> bytes:
    """The header of a safetensors file, the whole of which has been read and fits its seal.

    Raises:
        Damaged: a byte is missing or changed, or there is no seal.
    """
    size = file.read(8)
    header = file.read(min(int.from_bytes(size, "little"), LONGEST))
    place = header.find(_KEY) + len(_KEY)
    if place < len(_KEY):
        raise Damaged("there is no seal in it")
    digest = hashlib.sha256(size + header[:place] + UNSEALED.encode() + header[place + 64 :])
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    if digest.hexdigest().encode() != header[place : place + 64]:
        raise Damaged("its contents do not fit its checksum")
    return header
