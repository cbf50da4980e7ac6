"""What every augmentation is."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Augmentation(ABC):
    """Alters a batch of training examples, each in its own way.

    Draws from torch's global generators alone, on the batch's device as far as it can, and writes
    to none of its arguments. `strength` is above zero: what is off is not built. Whoever writes one
    of his own may give it further arguments with defaults; a spec's ``space`` names them.
    """

    def __init__(self, strength: float, *, blank: Tensor, flagged: bool = False) -> None:
        self.strength = strength
        #: A black pixel (C, 1, 1), normalised as the images are; of series, a place with nothing.
        self.blank = blank
        #: Whether the last channel is of flags, 1 where a series has nothing and 0 elsewhere; it
        #: stays so.
        self.flagged = flagged

    @abstractmethod
    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The batch, altered.

        `inputs` are normalised images (B, C, H, W), channels last, and stay so; series come as
        images of one row, (B, C, 1, length). `labels` are (B,);
        for an augmentation that mixes examples they are shares (B, classes).
        """


class DrawnApart(Augmentation):
    """One that alters each example by itself, and first draws all that it does.

    So examples of several trainings, each with a strength and random numbers of its own, are
    altered at once, by the augmentation of any of them: strengths beyond the catalogue's range are
    alike then.
    """

    @abstractmethod
    def draw(self, inputs: Tensor) -> Tensor:
        """What becomes of each of the examples (B, …), of whose values nothing is asked."""

    @abstractmethod
    def alter(self, inputs: Tensor, drawn: Tensor) -> Tensor:
        """The examples (B, C, H, W) as was drawn for each; of zeros something finite."""

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `Augmentation`."""
        return self.alter(inputs, self.draw(inputs)), labels


class MixesApart(Augmentation):
    """One that mixes each example with the one before it in its batch, and first draws how.

    As with `DrawnApart`, batches of several trainings are mixed at once, each within itself.
    """

    @abstractmethod
    def draw(self, inputs: Tensor) -> Tensor:
        """How much of its neighbour each of the examples gets (B, …)."""

    @abstractmethod
    def mix(
        self, inputs: Tensor, shares: Tensor, drawn: Tensor, *, batch: int
    ) -> tuple[Tensor, Tensor]:
        """Batches of so many examples (N, C, H, W), and shares (N, classes), as was drawn."""

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """See `Augmentation`."""
        return self.mix(inputs, labels, self.draw(inputs), batch=len(inputs))


def neighbours(rows: Tensor, batch: int) -> Tensor:
    """The row before each of the rows (N, …), in batches of so many; of a first one the last."""
    if len(rows) == batch:
        return rows.roll(1, 0)
    order = torch.arange(len(rows), device=rows.device).view(-1, batch).roll(1, 1).flatten()
    return rows.index_select(0, order)
