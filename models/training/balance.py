"""Against classes of unequal size: weights of the classes, or rows drawn alike from each."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.catalog import ConfigRefused

#: Draws so many training rows for an epoch, from torch's global generator of the CPU.
DrawRows = Callable[[int], Tensor]


def weights_for(labels: Tensor, classes: int, balance: str) -> Tensor | None:
    """The weights of the classes in the training loss; None but for ``weights``.

    Raises:
        ConfigRefused: the examples have no class each, so that there is nothing to balance.
    """
    if balance == "none":
        return None
    if labels.is_floating_point() or labels.dim() > 1:
        raise ConfigRefused("balance", balance, "needs examples that have a class each")
    return class_weights(labels, classes) if balance == "weights" else None


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """A weight (classes,) for each class, the inverse of its share of `labels` (N,).

    The mean weight of the rows is 1, so that learning rates keep their meaning; the weight of a
    class without rows is 0.
    """
    counts = torch.bincount(labels, minlength=classes).double()
    there = (counts > 0).sum()
    weights = torch.where(counts > 0, len(labels) / (there * counts), 0.0)
    return weights.float()


def rows_to_draw(labels: Tensor, balance: str) -> DrawRows:
    """How the rows of an epoch are drawn: each once, or by ``sampling``, alike from each class."""
    if balance != "sampling":
        return Shuffled(rows=len(labels))
    labels = labels.cpu()
    counts = torch.bincount(labels)
    return AlikeFromEachClass(
        rows=labels.argsort(stable=True), starts=counts.cumsum(0) - counts, counts=counts
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shuffled:
    """Every row at most once, in a new order."""

    rows: int

    def __call__(self, count: int) -> Tensor:
        return torch.randperm(self.rows)[:count]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlikeFromEachClass:
    """Rows drawn with replacement by inverse class frequency: first a class, then one of its rows.

    `rows` (N,) are the row numbers class by class; class c begins at ``starts[c]`` and has
    ``counts[c]``.
    """

    rows: Tensor
    starts: Tensor
    counts: Tensor

    def __call__(self, count: int) -> Tensor:
        there = self.counts.nonzero().flatten()
        drawn = there[torch.randint(len(there), (count,))]
        # In double precision a product cannot round up to the class's end.
        places = (torch.rand(count, dtype=torch.float64) * self.counts[drawn]).long()
        return self.rows[self.starts[drawn] + places]
