"""Safetensors files with a document and a seal: any damage is noticed, nothing is unpickled.

Any reader of safetensors can read the tensors. What the seal is stands in `models.seal`.
"""

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from models.files import Buffer
from models.seal import SEAL_KEY, UNSEALED, read_sealed_header
from models.seal import Damaged as Damaged

#: What safetensors calls the types.
_KINDS: Final[Mapping[torch.dtype, str]] = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def seal(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> list[Buffer]:
    """The file's bytes, in parts: a header, and then the memory of each tensor.

    Nothing is copied that is on the CPU and contiguous, and hashing lets other threads go on.
    Tensors may share memory; each is written whole.
    """
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # The widest first, so that each lies where memory-mapped it can be read.
    order = sorted(own, key=lambda name: -own[name].element_size())
    header = bytearray(_header({name: own[name] for name in order}, document))
    parts: list[Buffer] = [header, *(_memory(own[name]) for name in order)]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    place = header.index(SEAL_KEY + UNSEALED.encode()) + len(SEAL_KEY)
    header[place : place + 64] = digest.hexdigest().encode()
    return parts


def _header(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> bytes:
    """As https://github.com/huggingface/safetensors describes it: its length, then JSON."""
    entries: dict[str, Any] = {
        "__metadata__": {"document": json.dumps(document), "sha256": UNSEALED}
    }
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        kind = _KINDS[tensor.dtype]
        entries[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _memory(tensor: Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data


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
