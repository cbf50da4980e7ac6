"""Horizontal flips."""

import torch
from torch import Tensor

from models.augment.base import Augmentation


class Flip(Augmentation):
    """Every other image, by chance, is mirrored left to right (arXiv:1512.03385, section 4.2)."""

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        mirrored = torch.rand(len(inputs), 1, 1, 1, device=inputs.device) < 0.5
        return torch.where(mirrored, inputs.flip(3), inputs), labels
