"""Noise on every pixel."""

import torch
from torch import Tensor

from models.augment.base import Augmentation


class Noise(Augmentation):
    """Gaussian noise whose deviation is `strength` of the training pixels' own.

    Training with it is a penalty on the network's slopes (Bishop, Neural Computation 7(1), 1995).
    """

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return inputs.add(torch.randn_like(inputs), alpha=self.strength), labels
