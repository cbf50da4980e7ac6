"""A network's parameters in an optimizer's groups: what decays, and what does not."""

from typing import Any

from torch import Tensor, nn


def by_decay(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels, which decay, and the rest; each in the model's order."""
    decayed: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in model.named_parameters():
        # Each column of a table has a bias of its own, so that together they look like a matrix.
        bias = name.rpartition(".")[2] == "bias"
        (decayed if parameter.dim() >= 2 and not bias else others).append(parameter)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
