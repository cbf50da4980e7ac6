"""Boxes at random places of images."""

import torch
from torch import Tensor


def random_boxes(images: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
    """A mask (B, 1, H, W) of one box in each image, with `heights` and `widths` (B,) in pixels.

    Each is centred on a pixel drawn at random, so a part of it may lie outside the image.
    """
    rows = _spans(images.shape[2], heights)
    columns = _spans(images.shape[3], widths)
    return rows[:, None, :, None] & columns[:, None, None, :]


def _spans(side: int, lengths: Tensor) -> Tensor:
    """A mask (B, side) of spans of these lengths (B,)."""
    centres = torch.randint(side, lengths.shape, device=lengths.device)
    offsets = torch.arange(side, device=lengths.device) - (centres - lengths // 2)[:, None]
    return (offsets >= 0) & (offsets < lengths[:, None])
