"""Small translations."""

import torch
from torch import Tensor

from models.augment.base import DrawnApart
from models.augment.entries import WIDEST_SHIFT


class Shift(DrawnApart):
    """Each image moves by whole pixels, up to `strength` of its sides; black comes in. A series
    moves in time, and nothing comes in.

    As a window of the image's size, drawn at random from the image with a black border around it
    (arXiv:1512.03385, section 4.2).
    """

    def draw(self, inputs: Tensor) -> Tensor:
        """How far each moves up and to the left, in pixels (B, 2)."""
        count, device = len(inputs), inputs.device
        most = [round(self.strength * side) for side in inputs.shape[2:]]
        return torch.stack(
            [torch.randint(-pixels, pixels + 1, (count,), device=device) for pixels in most], dim=1
        )

    def alter(self, inputs: Tensor, drawn: Tensor) -> Tensor:
        """See `DrawnApart`."""
        count, _channels, height, width = inputs.shape
        # As wide as any that share a program may need: to look at what was drawn, one would have
        # to wait for a GPU.
        widest = max(self.strength, WIDEST_SHIFT)
        rows, columns = (round(widest * side) for side in (height, width))
        pixels = self.blank.permute(1, 2, 0).to(inputs.dtype)
        bordered = pixels.repeat(count, height + 2 * rows, width + 2 * columns, 1)  # (B, H, W, C)
        bordered[:, rows : rows + height, columns : columns + width] = inputs.permute(0, 2, 3, 1)
        windows = bordered.unfold(1, height, 1).unfold(2, width, 1)  # (B, ·, ·, C, H, W)
        image = torch.arange(count, device=inputs.device)
        moved = windows[image, rows + drawn[:, 0], columns + drawn[:, 1]]
        return moved.contiguous(memory_format=torch.channels_last)
