"""Safetensors files with a document and a seal: any damage is noticed, nothing is unpickled.

Any reader of safetensors can read the tensors. What the seal is stands in `models.seal`.
"""

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from models.files import Buffer
from models.packed import Packed, entries_of, in_file_order, memory_of
from models.seal import SEAL_KEY, UNSEALED, read_sealed_header
from models.seal import Damaged as Damaged


def seal(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> list[Buffer]:
    """The file's bytes, in parts: a header, and then the memory of the tensors.

    Nothing is copied that is on the CPU and contiguous, and hashing lets other threads go on.
    Tensors may share memory; each is written whole.
    """
    return seal_text(tensors, json.dumps(document))


def seal_text(tensors: Mapping[str, Tensor], document: str) -> list[Buffer]:
    """The same, of a document that is JSON already."""
    entries, memory = _laid_out(tensors)
    header = bytearray(_header(entries, document))
    parts: list[Buffer] = [header, *memory]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    place = header.index(SEAL_KEY + UNSEALED.encode()) + len(SEAL_KEY)
    header[place : place + 64] = digest.hexdigest().encode()
    return parts


def _laid_out(tensors: Mapping[str, Tensor]) -> tuple[str, list[memoryview]]:
    """Where each tensor lies in the file, as JSON, and the memory that has them so."""
    if isinstance(tensors, Packed):
        return tensors.entries, [tensors.memory]
    own = {name: tensors[name].detach().cpu().contiguous() for name in in_file_order(tensors)}
    return entries_of(own), [memory_of(tensor) for tensor in own.values()]


def _header(entries: str, document: str) -> bytes:
    """As https://github.com/huggingface/safetensors describes it: its length, then JSON."""
    about = json.dumps({"document": document, "sha256": UNSEALED}, separators=(",", ":"))
    comma = "," if entries != "{}" else ""
    text = f'{{"__metadata__":{about}{comma}{entries[1:]}'.encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the document that were packed.

    Raises:
        Damaged: the seal does not fit.
    """
    header = read_sealed_header(BytesIO(data))
    try:
        return load(data), json.loads(json.loads(header)["__metadata__"]["document"])
    except (SafetensorError, ValueError, KeyError) as error:
        raise Damaged(str(error)) from error
