"""Random resized crops."""

from math import log
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from models.augment.base import DrawnApart

#: Of a crop's sides, either way (arXiv:1409.4842, section 6).
_LARGEST_RATIO: Final = 4 / 3


class Crop(DrawnApart):
    """A random part of each image, resized to the whole image's size, bilinearly.

    A crop leaves out up to `strength` of the area; how much is uniform. Its sides' ratio to the
    image's is at most 4 : 3 either way, and it lies within the image (arXiv:1409.4842, section 6).
    """

    def draw(self, inputs: Tensor) -> Tensor:
        """Maps (B, 2, 3) of places in the altered image to those in the image it comes from."""
        count, device = len(inputs), inputs.device
        area = 1 - self.strength * torch.rand(count, device=device)
        # A crop of most of the image has no room for another ratio.
        widest = (-area.log()).clamp(max=log(_LARGEST_RATIO))
        ratio = ((2 * torch.rand(count, device=device) - 1) * widest).exp()
        sides = torch.stack(((area * ratio).sqrt(), (area / ratio).sqrt()), dim=1)  # (B, 2)
        centres = (1 - sides) * (2 * torch.rand(count, 2, device=device) - 1)
        # The image spans -1 to 1 both ways, x before y.
        return torch.cat((sides.diag_embed(), centres[:, :, None]), dim=2)

    def alter(self, inputs: Tensor, drawn: Tensor) -> Tensor:
        """See `DrawnApart`."""
        grid = functional.affine_grid(drawn, list(inputs.shape), align_corners=False)
        grid = grid.to(inputs.dtype)
        cropped = functional.grid_sample(inputs, grid, padding_mode="border", align_corners=False)
        return cropped.contiguous(memory_format=torch.channels_last)
