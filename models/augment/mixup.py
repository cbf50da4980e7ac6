"""Mixup."""

from torch import Tensor

from models.augment.base import Augmentation
from models.augment.shares import beta_shares


class Mixup(Augmentation):
    """Each example is mixed with the one before it, pixels and labels alike (arXiv:1710.09412).

    The share is from a beta distribution whose both parameters are `strength`, and each pair's
    own. The rows of a batch come in random order, so neighbours are pairs drawn at random. Flags
    are those of the example with the larger share.
    """

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        share = beta_shares(self.strength, inputs)  # (B,) of the example before
        inputs = inputs.lerp(inputs.roll(1, 0), share[:, None, None, None])
        if self.flagged:
            inputs[:, -1].round_()
        return inputs, labels.lerp(labels.roll(1, 0), share[:, None])
