"""Small translations."""

import torch
from torch import Tensor

from models.augment.base import Augmentation


class Shift(Augmentation):
    """Each image moves by whole pixels, up to `strength` of its sides; black comes in.

    Both distances are uniform, then rounded (arXiv:1512.03385, section 4.2: padded and cropped).
    """

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        rows, row_exists = self._sources(inputs, dimension=2)
        columns, column_exists = self._sources(inputs, dimension=3)
        image = torch.arange(len(inputs), device=inputs.device)[:, None, None]
        pixels = inputs.permute(0, 2, 3, 1)  # (B, H, W, C)
        moved = pixels[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        exists = row_exists[:, None, :, None] & column_exists[:, None, None, :]
        return torch.where(exists, moved, self.blank), labels

    def _sources(self, inputs: Tensor, *, dimension: int) -> tuple[Tensor, Tensor]:
        """From which place (B, side) each place gets its pixels, and whether there are any."""
        side, device = inputs.shape[dimension], inputs.device
        drawn = 2 * torch.rand(len(inputs), 1, device=device) - 1
        distance = (drawn * self.strength * side).round().long()
        source = torch.arange(side, device=device) - distance
        return source.clamp(0, side - 1), (source >= 0) & (source < side)
