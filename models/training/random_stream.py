"""A training's own random numbers, though torch draws them from global generators."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(slots=True)
class RandomStream:
    """The states of torch's generators that belong to one training.

    They are in place only inside `in_place`, so that trainings in one process, taking turns, draw
    what each would draw alone. Not for two threads at once.
    """

    device: str
    cpu: Tensor
    cuda: Tensor | None

    @classmethod
    def seeded(cls, seed: int, device: str) -> "RandomStream":
        """The stream of `seed`; on a GPU its generator is seeded alike."""
        stream = cls(device=device, cpu=torch.get_rng_state(), cuda=_cuda_state(device))
        with stream.in_place():
            torch.default_generator.manual_seed(seed)
            if stream.cuda is not None:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
        return stream

    def tensors(self) -> Mapping[str, Tensor]:
        """``cpu`` and, of a GPU's training, ``cuda``."""
        return {"cpu": self.cpu} | ({} if self.cuda is None else {"cuda": self.cuda})

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Draw what `tensors` would draw; a GPU it says nothing of draws as it would have."""
        # Cloned: torch reads a state as one aligned for numbers, and it may lie anywhere in a copy.
        self.cpu = tensors["cpu"].clone()
        if self.cuda is not None:
            self.cuda = tensors.get("cuda", self.cuda).clone()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Draw from this stream; others' states are put back at the end."""
        others_cpu, others_cuda = torch.get_rng_state(), _cuda_state(self.device)
        _put(self.device, self.cpu, self.cuda)
        try:
            yield
        finally:
            self.cpu, self.cuda = torch.get_rng_state(), _cuda_state(self.device)
            _put(self.device, others_cpu, others_cuda)


def _cuda_state(device: str) -> Tensor | None:
    return torch.cuda.get_rng_state(device) if device.startswith("cuda") else None


def _put(device: str, cpu: Tensor, cuda: Tensor | None) -> None:
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state(cuda, device)
