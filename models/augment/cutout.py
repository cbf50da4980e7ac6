"""Cutout."""

import torch
from torch import Tensor

from models.augment.base import DrawnApart
from models.augment.boxes import random_boxes


class Cutout(DrawnApart):
    """A box in each image becomes the training images' mean, which is zero (arXiv:1708.04552).

    Its sides are `strength` of the image's, at least a pixel. Its centre is anywhere, so that it
    may lie partly outside, which section 3.2 found to matter. Of a series it is a span of time,
    flagged where the series has flags.
    """

    def draw(self, inputs: Tensor) -> Tensor:
        """The hidden places (B, 1, H, W)."""
        heights, widths = (
            torch.full((len(inputs),), max(1, round(self.strength * side)), device=inputs.device)
            for side in inputs.shape[2:]
        )
        return random_boxes(inputs, heights, widths)

    def alter(self, inputs: Tensor, drawn: Tensor) -> Tensor:
        """See `DrawnApart`."""
        nothing = self.blank.to(inputs.dtype) if self.flagged else inputs.new_zeros(())
        return torch.where(drawn, nothing, inputs)
