"""Labels as shares of the classes, and what the losses of classes have in common."""

from torch import Tensor
from torch.nn import functional


def class_shares(labels: Tensor, logits: Tensor) -> Tensor:
    """Labels as shares of the classes, of the shape of `logits` (B, classes, …); shares as they
    are."""
    if labels.is_floating_point():
        return labels
    return functional.one_hot(labels, logits.shape[1]).movedim(-1, 1).to(logits.dtype)


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The mean of the rows' losses (B,), or, where `reduction` is ``none``, these."""
    return losses if reduction == "none" else losses.mean()
