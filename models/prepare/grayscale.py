"""Coloured images without their colour."""

from typing import Final

import torch
from torch import Tensor, nn

#: How bright red, green and blue look (Recommendation ITU-R BT.601-7, section 2.5.1).
_BRIGHTNESS: Final = (0.299, 0.587, 0.114)


class Grayscale(nn.Module):
    """Takes (B, 3, H, W), normalised, and gives the weighted mean of the channels, (B, 1, H, W)."""

    weights: Tensor

    def __init__(self, *, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        if input_shape[0] != len(_BRIGHTNESS):
            raise ValueError(f"images have 3 channels, not {input_shape[0]}")
        self.register_buffer("weights", torch.tensor(_BRIGHTNESS).view(1, -1, 1, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs * self.weights).sum(1, keepdim=True)
