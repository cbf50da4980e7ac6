"""Noise on every pixel."""

import torch
from torch import Tensor

from models.augment.base import Augmentation


class Noise(Augmentation):
    """Gaussian noise whose deviation is `strength` of the training pixels' own, or of a series'
    values'.

    Training with it is a penalty on the network's slopes (Bishop, Neural Computation 7(1), 1995).
    """

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        # Drawn in the order in which the pixels lie: torch takes eight times as long otherwise.
        pixels = inputs.permute(0, 2, 3, 1)  # (B, H, W, C)
        noise = torch.randn(pixels.shape, dtype=inputs.dtype, device=inputs.device)
        if self.flagged:  # Where nothing was measured nothing is off.
            noise *= 1 - pixels[..., -1:]
            noise[..., -1] = 0
        return pixels.add(noise, alpha=self.strength).permute(0, 3, 1, 2), labels
