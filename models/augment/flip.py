"""Horizontal flips."""

import torch
from torch import Tensor

from models.augment.base import DrawnApart


class Flip(DrawnApart):
    """Every other image, by chance, is mirrored left to right (arXiv:1512.03385, section 4.2)."""

    def draw(self, inputs: Tensor) -> Tensor:
        """Which are mirrored (B, 1, 1, 1)."""
        return torch.rand(len(inputs), 1, 1, 1, device=inputs.device) < 0.5

    def alter(self, inputs: Tensor, drawn: Tensor) -> Tensor:
        """See `DrawnApart`."""
        return torch.where(drawn, inputs.flip(3), inputs)
