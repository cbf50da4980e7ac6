"""Safetensors files with a document and a seal: any damage is noticed, nothing is unpickled.

The seal is the SHA-256 of the whole file with 64 zeros in the seal's own place, so that it covers
every byte, header and document included. Any reader of safetensors can read the tensors.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from safetensors import SafetensorError, TensorSpec, serialize
from safetensors.torch import load
from torch import Tensor

_UNSEALED: Final = "0" * 64
_SEAL_KEY: Final = b'"sha256":"'


class Damaged(Exception):
    """The bytes are not those that were sealed."""


def pack(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> bytes:
    """The file's bytes. Tensors may share memory; each is written whole."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Not safetensors' own `save`, half of whose time goes into looking for shared memory.
    specs = {name: _spec(tensor) for name, tensor in own.items()}
    metadata = {"document": json.dumps(document), "sha256": _UNSEALED}
    data = bytearray(serialize(specs, metadata))
    place = data.index(_SEAL_KEY + _UNSEALED.encode()) + len(_SEAL_KEY)
    data[place : place + 64] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def _spec(tensor: Tensor) -> TensorSpec:
    return TensorSpec(
        dtype=str(tensor.dtype).removeprefix("torch."),
        shape=tuple(tensor.shape),
        data_ptr=tensor.data_ptr(),
        data_len=tensor.nbytes,
    )


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the document that were packed.

    Raises:
        Damaged: the seal does not fit.
    """
    header_end = 8 + int.from_bytes(data[:8], "little")
    place = data.find(_SEAL_KEY, 0, header_end) + len(_SEAL_KEY)
    if place < len(_SEAL_KEY):
        raise Damaged("there is no seal in it")
    unsealed = bytearray(data)
    unsealed[place : place + 64] = _UNSEALED.encode()
    if hashlib.sha256(unsealed).hexdigest().encode() != data[place : place + 64]:
        raise Damaged("its contents do not fit its checksum")
    try:
        header = json.loads(data[8:header_end])
        return load(data), json.loads(header["__metadata__"]["document"])
    except (SafetensorError, ValueError, KeyError) as error:
        raise Damaged(str(error)) from error
