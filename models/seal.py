"""The seal of a file: any damage is noticed, without PyTorch and without holding it in memory.

It is the SHA-256 of the whole file with 64 zeros in the seal's own place, so that it covers every
byte, header and document included.
"""

import hashlib
from typing import BinaryIO, Final

from models.exported.header import LONGEST

#: What stands in the seal's place while the file is hashed.
UNSEALED: Final = "0" * 64
#: What precedes the seal, in the header.
SEAL_KEY: Final = b'"sha256":"'
_CHUNK_BYTES: Final = 1 << 20


class Damaged(Exception):
    """The bytes are not those that were sealed."""


def read_sealed_header(file: BinaryIO) -> bytes:
    """The header of a safetensors file, the whole of which has been read and fits its seal.

    Raises:
        Damaged: a byte is missing or changed, or there is no seal.
    """
    size = file.read(8)
    header = file.read(min(int.from_bytes(size, "little"), LONGEST))
    place = header.find(SEAL_KEY) + len(SEAL_KEY)
    if place < len(SEAL_KEY):
        raise Damaged("there is no seal in it")
    digest = hashlib.sha256(size + header[:place] + UNSEALED.encode() + header[place + 64 :])
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    if digest.hexdigest().encode() != header[place : place + 64]:
        raise Damaged("its contents do not fit its checksum")
    return header
