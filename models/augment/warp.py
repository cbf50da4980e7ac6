"""Warps of time."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from models.augment.base import DrawnApart

#: Places at which the speed is drawn: four inside, as the authors' code has it, and both ends.
_KNOTS: Final = 6


class Warp(DrawnApart):
    """Time runs faster here and slower there, alike in all channels (arXiv:1706.00527,
    time-warping).

    The speed's logarithm is normal, of deviation `strength`, at a few knots and smooth between
    them, so that time never runs backwards; begin and end stay where they are. Values come from
    between the two nearest places, linearly. Next to a flagged place the nearer of both is taken
    whole: between a value and nothing is no value.
    """

    def draw(self, inputs: Tensor) -> Tensor:
        """Where each place's value comes from, in places from 0 up to W - 1 (B, 1, 1, W)."""
        count, length, device = len(inputs), inputs.shape[3], inputs.device
        if length < 2:
            return torch.zeros(count, 1, 1, length, device=device)
        knots = self.strength * torch.randn(count, 1, 1, _KNOTS, device=device)
        size = (1, length - 1)
        speed = functional.interpolate(knots, size, mode="bicubic", align_corners=True).exp()
        passed = functional.pad(speed.cumsum(3), (1, 0))
        # Rounding may lead a little past the end.
        return (passed * ((length - 1) / passed[..., -1:])).clamp(max=length - 1)

    def alter(self, inputs: Tensor, drawn: Tensor) -> Tensor:
        """See `DrawnApart`."""
        length = inputs.shape[3]
        if length < 2:
            return inputs
        before = drawn.floor().clamp(0, length - 2)
        at = before.long().expand(inputs.shape)
        first, second = inputs.gather(3, at), inputs.gather(3, at + 1)
        share = (drawn - before).to(inputs.dtype)
        if self.flagged:
            beside_nothing = (first[:, -1:] + second[:, -1:]) > 0
            share = torch.where(beside_nothing, share.round(), share)
        warped = first.lerp(second, share.expand(inputs.shape))
        return warped.contiguous(memory_format=torch.channels_last)
