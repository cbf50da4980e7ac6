"""An epoch under way: what its steps are to be, and what came of those that are taken."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(slots=True, kw_only=True)
class PartialEpoch:
    """Where a training stands within an epoch; part of a checkpoint that is taken there."""

    #: The rows of every step of the epoch (steps, B).
    order: Tensor
    #: Of its steps (steps,); the first `done` are there. Kept on the device, as is `correct`:
    #: reading a value would make a GPU wait at every step.
    losses: Tensor
    #: How many labels were right so far.
    correct: Tensor
    done: int
    #: On `time.perf_counter`; between attempts it stands still.
    began: float

    @classmethod
    def begin(cls, order: Tensor, *, began: float) -> Self:
        """Before the first step, on the device of `order`."""
        return cls(
            order=order,
            losses=torch.empty(len(order), device=order.device),
            correct=torch.zeros((), dtype=torch.int64, device=order.device),
            done=0,
            began=began,
        )

    def add(self, loss: Tensor, right: Tensor) -> None:
        """Take note of a step."""
        self.losses[self.done] = loss
        self.correct += right
        self.done += 1

    def tensors(self) -> Mapping[str, Tensor]:
        """What `resumed` goes on from; not copied."""
        seconds = time.perf_counter() - self.began
        return {
            "order": self.order,
            "losses": self.losses[: self.done],
            "correct": self.correct,
            "seconds": torch.tensor(seconds, dtype=torch.float64),
        }

    @classmethod
    def resumed(cls, tensors: Mapping[str, Tensor], device: torch.device) -> Self:
        """What wrote `tensors`, going on now."""
        began = time.perf_counter() - tensors["seconds"].item()
        partial = cls.begin(tensors["order"].to(device), began=began)
        partial.done = len(tensors["losses"])
        partial.losses[: partial.done] = tensors["losses"]
        partial.correct.copy_(tensors["correct"])
        return partial
