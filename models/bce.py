"""Binary cross-entropy on two logits."""

from torch import Tensor, nn
from torch.nn import functional


class TwoLogitBCE(nn.Module):
    """Each class against the other: the mean of two binary cross-entropies.

    Takes logits (B, 2) and labels (B,), so that every model has one output for each class.
    `label_smoothing` draws the targets 0 and 1 towards one half.
    """

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        targets = functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
        targets = targets.lerp(targets.new_full((), 0.5), self.label_smoothing)
        return functional.binary_cross_entropy_with_logits(logits, targets)
