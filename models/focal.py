"""The focal loss."""

from torch import Tensor, nn
from torch.nn import functional


class FocalLoss(nn.Module):
    """Cross-entropy weighed with ``(1 - p) ** gamma``, p being the right class's probability.

    Takes logits (B, classes) and labels (B,), or (B, classes, L) and (B, L); arXiv:1708.02002,
    equation 4, for any number of classes and without class weights. With a gamma of 0 it is
    cross-entropy.
    """

    def __init__(self, *, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        likelihoods = functional.log_softmax(logits, 1)  # (B, classes)
        rows = labels.unsqueeze(1)
        right = likelihoods.gather(1, rows).squeeze(1)
        # The power of 1 - p has an infinite slope where p rounds to 1; that of its logarithm,
        # taken from the other classes, has none.
        wrong = likelihoods.scatter(1, rows, float("-inf")).logsumexp(1)
        return -((self.gamma * wrong).exp() * right).mean()
