"""In how many bits a network computes. All that depends on the device's kind is here."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

_AS_IT_IS: Final[AbstractContextManager[None]] = nullcontext()


class Precision:
    """Float32 throughout."""

    def autocast(self) -> AbstractContextManager[None]:
        """Where the network computes, forward. Losses are computed outside, in float32."""
        return _AS_IT_IS

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`."""
        loss.backward()  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Give the gradients their true length, before it is looked at."""

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the optimizer's step."""
        optimizer.step()

    def tensors(self) -> Mapping[str, Tensor]:
        """What is remembered from step to step."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Remember what `tensors` wrote."""


FLOAT32: Final = Precision()


def in_full(outputs: Tensor) -> Tensor:
    """A network's outputs as losses want them: in 32 bits at least."""
    return outputs.float() if outputs.element_size() < 4 else outputs


@dataclass(slots=True)
class Mixed(Precision):
    """Products of matrices and convolutions in fewer bits, sums in float32, weights too.

    See arXiv:1905.12322: bfloat16 reaches as far as float32, and needs nothing else.
    """

    device_type: str
    dtype: torch.dtype = torch.bfloat16

    def autocast(self) -> AbstractContextManager[None]:
        """torch's own choice of operations."""
        return torch.autocast(self.device_type, self.dtype)


@dataclass(slots=True)
class Scaled(Mixed):
    """Float16, whose small gradients would vanish: the loss is scaled up (arXiv:1710.03740).

    A step whose gradients become infinite by that is left out, and the scale halved; the loss
    itself is finite then, and the training has not diverged.
    """

    dtype: torch.dtype = torch.float16
    scaler: GradScaler = field(init=False)

    def __post_init__(self) -> None:
        self.scaler = GradScaler(self.device_type)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`, scaled."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients by the scale."""
        self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the step, or leave it out."""
        self.scaler.step(optimizer)
        self.scaler.update()

    def tensors(self) -> Mapping[str, Tensor]:
        """The scale, and for how many steps it has been good."""
        state = self.scaler.state_dict()
        return {name: torch.tensor(state[name]) for name in ("scale", "_growth_tracker")}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Scale as before."""
        kept = {name: value.item() for name, value in tensors.items()}
        self.scaler.load_state_dict(self.scaler.state_dict() | kept)


def precision_of(name: str, device: str) -> Precision:
    """The precision called `name` on `device`.

    ``auto`` is bfloat16 on a GPU that has it, float16 on another, and float32 on a CPU.
    """
    kind = torch.device(device).type
    if name == "auto":
        name = _fastest(device) if kind == "cuda" else "float32"
    match name:
        case "bfloat16":
            return Mixed(kind)
        case "float16":
            return Scaled(kind)
        case _:
            return FLOAT32


def _fastest(device: str) -> str:
    with torch.cuda.device(device):
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if has else "float16"
