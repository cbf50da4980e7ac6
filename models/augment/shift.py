"""Small translations."""

import torch
from torch import Tensor

from models.augment.base import Augmentation


class Shift(Augmentation):
    """Each image moves by whole pixels, up to `strength` of its sides; black comes in. A series
    moves in time, and nothing comes in.

    As a window of the image's size, drawn at random from the image with a black border around it
    (arXiv:1512.03385, section 4.2).
    """

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        count, _channels, height, width = inputs.shape
        rows, columns = (round(self.strength * side) for side in (height, width))
        pixels = self.blank.permute(1, 2, 0).to(inputs.dtype)
        bordered = pixels.repeat(count, height + 2 * rows, width + 2 * columns, 1)  # (B, H, W, C)
        bordered[:, rows : rows + height, columns : columns + width] = inputs.permute(0, 2, 3, 1)
        windows = bordered.unfold(1, height, 1).unfold(2, width, 1)  # (B, ·, ·, C, H, W)
        image = torch.arange(count, device=inputs.device)
        top = torch.randint(2 * rows + 1, (count,), device=inputs.device)
        left = torch.randint(2 * columns + 1, (count,), device=inputs.device)
        moved = windows[image, top, left].contiguous(memory_format=torch.channels_last)
        return moved, labels
