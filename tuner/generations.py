"""A trial's checkpoints, told apart by where the training stood, and their files' names."""

import re
from dataclasses import dataclass
from typing import Final, Self

from models.training.checkpoint import Checkpoint

_NAME: Final = re.compile(r"epoch-(\d+)(?:\.step-(\d+))?\.safetensors")


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Generation:
    """A checkpoint after so many epochs or, with `step`, in the middle of the next one.

    Their order is that in which they come; that of their names is the same.
    """

    epoch: int
    #: Of the training, counted over all epochs; 0 between two of them.
    step: int = 0

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """The checkpoint's."""
        step = checkpoint.step if checkpoint.amid_epoch else 0
        return cls(epoch=checkpoint.epoch, step=step)

    @classmethod
    def named(cls, name: str) -> Self | None:
        """That of a file's name; None where it is another kind of file."""
        match = _NAME.fullmatch(name)
        return match and cls(epoch=int(match[1]), step=int(match[2] or 0))

    @property
    def name(self) -> str:
        """``epoch-000002.safetensors`` or, 23 steps later, ``epoch-000002.step-000000063.…``."""
        amid = f".step-{self.step:09d}" if self.step else ""
        return f"epoch-{self.epoch:06d}{amid}.safetensors"
