"""Tensors that lie one after the other in one piece of memory, as in a safetensors file."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor

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


class Packed(Mapping[str, Tensor]):
    """Tensors by name, on the CPU, each a view of one piece of memory.

    One piece is copied into, hashed and written with few calls, however many tensors there are; and
    it can be used again: fresh memory costs the kernel more time than the copying does.
    """

    def __init__(self, like: Mapping[str, Tensor]) -> None:
        """Room for tensors of these types and shapes; what is in it is undefined."""
        memory = torch.empty(sum(tensor.nbytes for tensor in like.values()), dtype=torch.uint8)
        self._tensors: dict[str, Tensor] = {}
        end = 0
        for name in in_file_order(like):
            begin, end = end, end + like[name].nbytes
            view = memory[begin:end].view(like[name].dtype)
            self._tensors[name] = view.view(like[name].shape)
        #: Where each tensor lies: what a safetensors file's header says of it, as JSON.
        self.entries = entries_of(self._tensors)
        #: All of it, as it lies in a file.
        self.memory = memory_of(memory)

    def fits(self, tensors: Mapping[str, Tensor]) -> bool:
        """Whether these are of the same names, types and shapes."""
        return len(tensors) == len(self) and all(
            (own := self._tensors.get(name)) is not None
            and own.dtype == tensor.dtype
            and own.shape == tensor.shape
            for name, tensor in tensors.items()
        )

    @torch.no_grad()
    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the tensors, which must fit, over what was there."""
        for name, tensor in tensors.items():
            self._tensors[name].copy_(tensor)

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def pack(tensors: Mapping[str, Tensor], into: Mapping[str, Tensor] | None = None) -> Packed:
    """A copy of the tensors: in the memory of `into` if they fit there, else in fresh memory."""
    packed = into if isinstance(into, Packed) and into.fits(tensors) else Packed(tensors)
    packed.fill(tensors)
    return packed


def in_file_order(tensors: Mapping[str, Tensor]) -> list[str]:
    """The widest first, so that each lies where memory-mapped it can be read."""
    return sorted(tensors, key=lambda name: -tensors[name].element_size())


def entries_of(tensors: Mapping[str, Tensor]) -> str:
    """What the header of a safetensors file says of tensors that follow one another, as JSON."""
    entries: dict[str, Any] = {}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        kind = _KINDS[tensor.dtype]
        entries[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    return json.dumps(entries, separators=(",", ":"))


def memory_of(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous tensor on the CPU, not copied."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data
