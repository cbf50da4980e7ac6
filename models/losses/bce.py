"""Binary cross-entropy on two logits."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.losses.shares import class_shares, reduced


class TwoLogitBCE(nn.Module):
    """Each class against the other: the mean of two binary cross-entropies.

    Takes logits (B, 2) and labels (B,) or shares (B, 2), so that every model has one output for
    each class. `label_smoothing` draws the targets 0 and 1 towards one half; `weight` (2,) and
    `reduction` are as in torch's losses, a mean being over the rows.
    """

    weight: Tensor | None

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        weight: Tensor | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.reduction = reduction
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses = two_logit_losses(
            logits, labels, label_smoothing=self.label_smoothing, weight=self.weight
        )
        return reduced(losses, self.reduction)


def two_logit_losses(
    logits: Tensor, labels: Tensor, *, label_smoothing: float | Tensor, weight: Tensor | None = None
) -> Tensor:
    """The loss of each row: see `TwoLogitBCE`."""
    targets = class_shares(labels, logits)
    targets = targets.lerp(targets.new_full((), 0.5), label_smoothing)
    if weight is not None:
        targets = targets * weight
    # What speaks for one class speaks against the other, with its own weight.
    losses = -(
        targets * functional.logsigmoid(logits) + targets.flip(1) * functional.logsigmoid(-logits)
    )
    return torch.mean(losses, 1)
