"""Noise on every pixel."""

import torch
from torch import Tensor

from models.augment.base import DrawnApart


class Noise(DrawnApart):
    """Gaussian noise whose deviation is `strength` of the training pixels' own, or of a series'
    values'.

    Training with it is a penalty on the network's slopes (Bishop, Neural Computation 7(1), 1995).
    """

    def draw(self, inputs: Tensor) -> Tensor:
        """The noise (B, H, W, C)."""
        # Drawn in the order in which the pixels lie: torch takes eight times as long otherwise.
        count, channels, height, width = inputs.shape
        shape = (count, height, width, channels)
        return torch.randn(shape, dtype=inputs.dtype, device=inputs.device).mul_(self.strength)

    def alter(self, inputs: Tensor, drawn: Tensor) -> Tensor:
        """See `DrawnApart`."""
        pixels = inputs.permute(0, 2, 3, 1)  # (B, H, W, C)
        if self.flagged:  # Where nothing was measured nothing is off, and flags stay.
            drawn = drawn * (1 - pixels[..., -1:])
            drawn[..., -1] = 0
        return pixels.add(drawn).permute(0, 3, 1, 2)
