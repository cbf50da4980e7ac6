"""Data of one's own: a function that gives arrays, or a torch Dataset."""

import math

import torch
from torch import Tensor


def make(arms: int = 2, rows: int = 1200, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    """Points (rows, 2) on spirals, and which of the `arms` each is on (rows,)."""
    which = torch.arange(rows) % arms
    far = torch.rand(rows)
    angle = 2 * math.pi * (far + which / arms)
    points = torch.stack([angle.cos(), angle.sin()], 1) * far[:, None]
    return points + noise * far[:, None] * torch.randn(rows, 2), which
