"""What all lanes draw at random, each from its own training's stream as it would alone."""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from models.training.lanes.layers import Mask, dropper_of
from models.training.learner import Learner

#: It is drawn ahead for so many steps as fit into this, so that changing streams costs little.
_BYTES_AHEAD: Final = 1 << 25

Draw = Callable[[], tuple[Tensor, ...]]


class Noise:
    """What was drawn for coming steps: by augmentations, and for the masks that a network asks for.

    Each (steps ahead, K, …), drawn in the order in which a training alone draws.
    """

    def __init__(
        self,
        altered: Sequence[Tensor],
        asked: Sequence[Mask],
        *,
        lanes: int,
        steps: int,
        like: Tensor,
    ) -> None:
        """With augmentations that draw the like of `altered`, (B, …) each, for a batch."""
        self._asked, self._like = asked, like
        each = sum(drawn.nbytes for drawn in altered)
        each += like.element_size() * sum(mask.shape.numel() for mask in asked)
        #: For how many steps is drawn at once.
        self.ahead = min(steps, max(1, _BYTES_AHEAD // (lanes * each))) if each else steps
        self._altered = [drawn.new_zeros(self.ahead, lanes, *drawn.shape) for drawn in altered]
        self._masks = [like.new_ones(self.ahead, lanes, *mask.shape) for mask in asked]
        self._draws: dict[int, Draw] = {}

    def seat(self, lane: int, learner: Learner, inputs: Tensor) -> None:
        """From now on the lane has what `learner`, which is training, draws for such a batch."""
        droppers = [self._dropper_of(learner.model, mask) for mask in self._asked]
        augment = learner.augment
        self._draws[lane] = lambda: (*augment.draw(inputs), *(drop() for drop in droppers))

    def clear(self, lane: int) -> None:
        """Nobody draws for the lane."""
        del self._draws[lane]

    def draw(self, lane: int, steps: int) -> None:
        """Draw for the lane and so many steps, from torch's global generators."""
        places = (*self._altered, *self._masks)
        if not places:
            return
        for step in range(steps):
            for place, drawn in zip(places, self._draws[lane](), strict=True):
                place[step, lane] = drawn

    def alterations_of_step(self, step: int) -> list[Tensor]:
        """What is done to the examples of all lanes (K·B, …), one lane after the other.

        Steps are counted from where was drawn.
        """
        return [drawn[step].flatten(0, 1) for drawn in self._altered]

    def masks_of_step(self, step: int) -> tuple[Tensor, ...]:
        """The masks (K, …) of all lanes."""
        return tuple(masks[step] for masks in self._masks)

    def _dropper_of(self, network: nn.Module, mask: Mask) -> Callable[[], Tensor]:
        drop = dropper_of(network.get_submodule(mask.layer))
        ones = torch.empty_strided(
            mask.shape, mask.strides, dtype=self._like.dtype, device=self._like.device
        ).fill_(1)
        return lambda: drop(ones.clone())
