"""CutMix."""

import torch
from torch import Tensor

from models.augment.base import Augmentation
from models.augment.boxes import random_boxes
from models.augment.shares import beta_shares


class CutMix(Augmentation):
    """A box of each image comes from the one before it; labels mix by area (arXiv:1905.04899).

    The box's share of the area is from a beta distribution whose both parameters are `strength`
    (section 3.1); the labels' shares are of the pixels that lie within the image.
    """

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        side_share = beta_shares(self.strength, inputs).sqrt()
        heights, widths = ((side_share * side).round().long() for side in inputs.shape[2:])
        pasted = random_boxes(inputs, heights, widths)
        share = pasted.to(inputs.dtype).mean((1, 2, 3))
        inputs = torch.where(pasted, inputs.roll(1, 0), inputs)
        return inputs, labels.lerp(labels.roll(1, 0), share[:, None])
