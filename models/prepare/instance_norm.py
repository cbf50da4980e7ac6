"""Each example in standard deviations of its own."""

from typing import Final

import torch
from torch import Tensor, nn

#: Added to a variance: where nothing varies nothing is divided by zero.
_EPSILON: Final = 1e-5


class InstanceNorm(nn.Module):
    """Standardises each channel of an image or of a series by its own places alone.

    How bright an image is, or at what level and how widely a series moves, is lost: what is left is
    its form (Kim et al., RevIN, ICLR 2022, section 3.1; of images arXiv:1607.08022). Where a series
    is `flagged` its last channel says by 1 where there is no value; those places do not count, and
    stay 0.
    """

    def __init__(self, *, flagged: bool = False) -> None:
        super().__init__()
        self.flagged = flagged

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.flagged:
            return _standardised(inputs, torch.ones_like(inputs))
        values, flags = inputs[:, :-1], inputs[:, -1:]
        there = ((flags == 0) | (values != 0)).to(values.dtype)
        return torch.cat([_standardised(values, there), flags], 1)


def _standardised(values: Tensor, there: Tensor) -> Tensor:
    """`values` (B, C, …) whose places count where `there` is 1; 0 where it is 0."""
    places = tuple(range(2, values.dim()))
    count = there.sum(places, keepdim=True).clamp(min=1)
    mean = (values * there).sum(places, keepdim=True) / count
    centred = (values - mean) * there
    variance = centred.square().sum(places, keepdim=True) / count
    return centred / (variance + _EPSILON).sqrt()
