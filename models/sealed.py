"""Safetensors files with a document and a seal: any damage is noticed, nothing is unpickled.

Any reader of safetensors can read the tensors. What the seal is stands in `models.seal`.
"""

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from safetensors import SafetensorError, TensorSpec, serialize
from safetensors.torch import load
from torch import Tensor

from models.seal import SEAL_KEY, UNSEALED, read_sealed_header
from models.seal import Damaged as Damaged


def pack(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> bytes:
    """The file's bytes. Tensors may share memory; each is written whole."""
    own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Not safetensors' own `save`, half of whose time goes into looking for shared memory.
    specs = {name: _spec(tensor) for name, tensor in own.items()}
    metadata = {"document": json.dumps(document), "sha256": UNSEALED}
    data = bytearray(serialize(specs, metadata))
    place = data.index(SEAL_KEY + UNSEALED.encode()) + len(SEAL_KEY)
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
    header = read_sealed_header(BytesIO(data))
    try:
        return load(data), json.loads(json.loads(header)["__metadata__"]["document"])
    except (SafetensorError, ValueError, KeyError) as error:
        raise Damaged(str(error)) from error
