"""Losses of numbers: a network answers (B, 1), the targets are (B,)."""

from collections.abc import Callable

from torch import Tensor, nn


class NumberLoss(nn.Module):
    """A loss of torch's between a network's one output and a number for each example.

    Takes outputs (B, 1) and targets (B,) of floats. `link` says what an output is: the prediction
    (``identity``), or its logarithm (``log``).
    """

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor], *, link: str = "identity") -> None:
        super().__init__()
        self.loss = loss
        self.link = link

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self.loss(outputs.squeeze(1), targets)
        return loss

    def predictions(self, outputs: Tensor) -> Tensor:
        """The predictions (B,) of outputs (B, 1), in the unit of the targets."""
        numbers = outputs.squeeze(1)
        return numbers.exp() if self.link == "log" else numbers
