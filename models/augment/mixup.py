"""Mixup."""

from torch import Tensor

from models.augment.base import MixesApart, neighbours
from models.augment.shares import beta_shares


class Mixup(MixesApart):
    """Each example is mixed with the one before it, pixels and labels alike (arXiv:1710.09412).

    The share is from a beta distribution whose both parameters are `strength`, and each pair's
    own. The rows of a batch come in random order, so neighbours are pairs drawn at random. Flags
    are those of the example with the larger share.
    """

    def draw(self, inputs: Tensor) -> Tensor:
        """The shares (B,) of the examples before."""
        return beta_shares(self.strength, inputs)

    def mix(
        self, inputs: Tensor, shares: Tensor, drawn: Tensor, *, batch: int
    ) -> tuple[Tensor, Tensor]:
        """See `MixesApart`."""
        inputs = inputs.lerp(neighbours(inputs, batch), drawn[:, None, None, None])
        if self.flagged:
            inputs[:, -1].round_()
        return inputs, shares.lerp(neighbours(shares, batch), drawn[:, None])
