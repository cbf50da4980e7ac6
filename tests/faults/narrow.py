"""A loss on a device with little room, as a user's code by import path."""

import torch
from torch import Tensor
from torch.nn import functional

#: Rows for which others have taken the room.
taken = 0


def loss(outputs: Tensor, targets: Tensor, *, room: int = 16) -> Tensor:
    """Cross-entropy that learns from `room` rows at once, or runs out of memory."""
    rows = len(outputs)
    if torch.is_grad_enabled() and rows > room - taken:
        raise torch.OutOfMemoryError(f"CUDA out of memory: {rows} rows, room for {room - taken}.")
    return functional.cross_entropy(outputs, targets)
