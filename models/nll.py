"""The negative log-likelihood of classes, on logits."""

from torch import Tensor, nn
from torch.nn import functional


class LogSoftmaxNLL(nn.Module):
    """`torch.nn.NLLLoss` behind a log-softmax, so that a network answers logits as for any loss.

    Takes logits (B, classes) and labels (B,), or (B, classes, L) and (B, L).
    """

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.nll_loss(functional.log_softmax(logits, 1), labels)
