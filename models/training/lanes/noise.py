"""The masks of all lanes, each drawn from its own training's stream as it would be alone."""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from models.training.lanes.layers import Mask, dropper_of

#: Masks are drawn ahead for so many steps as fit into this, so that changing streams costs little.
_BYTES_AHEAD: Final = 1 << 25

Draw = Callable[[], Tensor]


class Noise:
    """The masks of coming steps: of each that a network asks for (steps ahead, K, …)."""

    def __init__(self, asked: Sequence[Mask], *, lanes: int, steps: int, like: Tensor) -> None:
        self._asked, self._like = asked, like
        each = lanes * like.element_size() * sum(mask.shape.numel() for mask in asked)
        #: For how many steps masks are drawn at once.
        self.ahead = min(steps, max(1, _BYTES_AHEAD // each)) if each else steps
        self._masks = [like.new_ones(self.ahead, lanes, *mask.shape) for mask in asked]
        self._draws: dict[int, list[Draw]] = {}

    def seat(self, lane: int, network: nn.Module) -> None:
        """The lane's masks are from now on those of `network`, which is training."""
        self._draws[lane] = [self._draw_of(network, mask) for mask in self._asked]

    def clear(self, lane: int) -> None:
        """Nobody's masks are in the lane."""
        del self._draws[lane]

    def draw(self, lane: int, steps: int) -> None:
        """Draw the lane's masks of so many steps, from torch's global generators."""
        for step in range(steps):
            for masks, draw in zip(self._masks, self._draws[lane], strict=True):
                masks[step, lane] = draw()

    def of_step(self, step: int) -> tuple[Tensor, ...]:
        """The masks (K, …) of all lanes for the step, counted from where they were drawn."""
        return tuple(masks[step] for masks in self._masks)

    def _draw_of(self, network: nn.Module, mask: Mask) -> Draw:
        drop = dropper_of(network.get_submodule(mask.layer))
        ones = torch.empty_strided(
            mask.shape, mask.strides, dtype=self._like.dtype, device=self._like.device
        ).fill_(1)
        return lambda: drop(ones.clone())
