"""CutMix."""

import torch
from torch import Tensor

from models.augment.base import MixesApart, neighbours
from models.augment.boxes import random_boxes
from models.augment.shares import beta_shares


class CutMix(MixesApart):
    """A box of each image comes from the one before it; labels mix by area (arXiv:1905.04899).

    The box's share of the area is from a beta distribution whose both parameters are `strength`
    (section 3.1); the labels' shares are of the pixels that lie within the image.
    """

    def draw(self, inputs: Tensor) -> Tensor:
        """The places that come from the example before (B, 1, H, W)."""
        side_share = beta_shares(self.strength, inputs).sqrt()
        heights, widths = ((side_share * side).round().long() for side in inputs.shape[2:])
        return random_boxes(inputs, heights, widths)

    def mix(
        self, inputs: Tensor, shares: Tensor, drawn: Tensor, *, batch: int
    ) -> tuple[Tensor, Tensor]:
        """See `MixesApart`."""
        pasted = drawn.to(inputs.dtype).mean((1, 2, 3))
        inputs = torch.where(drawn, neighbours(inputs, batch), inputs)
        return inputs, shares.lerp(neighbours(shares, batch), pasted[:, None])
