"""What benchmarks/ranges.py names by import path: a loss of scaled outputs, and sign descent."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional


class Scaled(nn.Module):
    """The cross-entropy of a network whose outputs are `scale` times as large."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(self.scale * outputs, targets)


class Lion(torch.optim.Optimizer):
    """Lion: steps of one length along the signs of an average (arXiv:2302.06675, algorithm 2)."""

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-4) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weights in group["params"]:
                average = self.state[weights].setdefault("average", torch.zeros_like(weights))
                weights.sub_(group["lr"] * average.lerp(weights.grad, 0.1).sign())
                average.lerp_(weights.grad, 0.01)
