"""The focal loss."""

from torch import Tensor, nn
from torch.nn import functional

from models.losses.shares import class_shares, reduced

#: The logarithm of the surest probability that is told from 1: beyond it ``log(1 - p)`` has no
#: slope a float could hold.
_SUREST = -1e-6


class FocalLoss(nn.Module):
    """Cross-entropy weighed with ``(1 - p) ** gamma``, p being the right class's probability.

    Takes logits (B, classes) and labels (B,), or (B, classes, L) and (B, L); arXiv:1708.02002,
    equation 4, for any number of classes. Of shares (B, classes) it is the mean of the classes'
    losses, each with its share. With a gamma of 0 it is cross-entropy. `weight` (classes,) and
    `reduction` are as in torch's losses, a mean being over the rows.
    """

    weight: Tensor | None

    def __init__(
        self, *, gamma: float = 2.0, weight: Tensor | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.reduction = reduction
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses = focal_losses(logits, labels, gamma=self.gamma, weight=self.weight)
        return reduced(losses, self.reduction)


def focal_losses(
    logits: Tensor, labels: Tensor, *, gamma: float | Tensor, weight: Tensor | None = None
) -> Tensor:
    """The loss of each row: see `FocalLoss`."""
    shares = class_shares(labels, logits)
    if weight is not None:
        shares = shares * weight
    right = functional.log_softmax(logits, 1)  # (B, classes)
    wrong = (-right.clamp(max=_SUREST).expm1()).log()
    return -(shares * (gamma * wrong).exp() * right).sum(1)
