"""A network as lanes carry it: what draws random numbers is given them.

One program learns for many trainings, but each draws from its own stream. So every layer that drops
at random is replaced by one that multiplies with a mask, and the masks are drawn outside.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks.attention import Attention
from models.networks.parts import StochasticDepth


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask that a network multiplies with, and what it acts on."""

    #: Of the layer that draws it.
    layer: str
    shape: torch.Size
    strides: tuple[int, ...]


@dataclass(slots=True)
class Masks:
    """The masks of a forward pass, in the order in which the layers ask for them."""

    asked: list[Mask] = field(default_factory=list)
    _given: Iterator[Tensor] | None = None

    def give(self, masks: Sequence[Tensor]) -> None:
        """The coming pass is with these."""
        self._given = iter(masks)

    def next_for(self, layer: str, x: Tensor) -> Tensor:
        """The mask for `x`; where none are given it is written down that one is asked for."""
        if self._given is not None:
            return next(self._given)
        # As torch lays out the noise of such a tensor, whose numbers follow its order in memory.
        like = torch.ones_like(x)
        self.asked.append(Mask(layer, like.shape, like.stride()))
        return like


class Masked(nn.Module):
    """While training, multiplies with the next mask."""

    def __init__(self, masks: Masks, layer: str) -> None:
        super().__init__()
        self._masks = masks
        self._layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return x * self._masks.next_for(self._layer, x) if self.training else x


class LaneLinear(nn.Module):
    """A linear layer that adds its bias in place; `vmap` would copy the outputs for it."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.weight.T
        return y if self.bias is None else y.add_(self.bias)


class MaskedAttention(Attention):
    """Attention spelt out, since `vmap` has no rule for torch's own, with masks if it drops."""

    def __init__(self, attention: Attention, dropped: nn.Module) -> None:
        nn.Module.__init__(self)
        self.heads, self.causal = attention.heads, attention.causal
        self.dropout = attention.dropout
        self.qkv, self.out = attention.qkv, attention.out
        self.dropped = dropped

    def gather(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5  # (B, heads, T, T)
        if self.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        weights: Tensor = self.dropped(scores.softmax(-1))
        return weights @ v


class MaskedGRU(nn.Module):
    """A GRU spelt out, since `vmap` has no rule for torch's own, with masks between two layers."""

    def __init__(self, gru: nn.GRU, dropped: nn.Module) -> None:
        super().__init__()
        for name, parameter in gru.named_parameters():
            self.register_parameter(name, parameter)
        self.num_layers, self.bias = gru.num_layers, gru.bias
        self.bidirectional, self.batch_first = gru.bidirectional, gru.batch_first
        self.hidden_size = gru.hidden_size
        self.dropped = dropped

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        steps = x.transpose(0, 1) if self.batch_first else x  # (T, B, C)
        states: list[Tensor] = []
        for layer in range(self.num_layers):
            if layer > 0:
                steps = self.dropped(steps)
            ways = [self._passed(steps, f"l{layer}")]
            states.append(ways[0][-1])
            if self.bidirectional:
                backwards = self._passed(steps.flip(0), f"l{layer}_reverse")
                states.append(backwards[-1])
                ways.append(backwards.flip(0))
            steps = torch.cat(ways, -1)
        return steps.transpose(0, 1) if self.batch_first else steps, torch.stack(states)

    def _passed(self, steps: Tensor, way: str) -> Tensor:
        """The states (T, B, width) of one layer in one direction: arXiv:1406.1078 as cuDNN has it,
        with the reset gate behind the matrix."""
        bias = [getattr(self, f"bias_{of}_{way}") if self.bias else None for of in ("ih", "hh")]
        given = functional.linear(steps, getattr(self, f"weight_ih_{way}"), bias[0])
        state = steps.new_zeros(steps.shape[1], self.hidden_size)
        states: list[Tensor] = []
        for inputs in given.unbind(0):
            kept = functional.linear(state, getattr(self, f"weight_hh_{way}"), bias[1])
            (reset, update, new), (reset_kept, update_kept, new_kept) = (
                part.chunk(3, -1) for part in (inputs, kept)
            )
            reset, update = (reset + reset_kept).sigmoid(), (update + update_kept).sigmoid()
            new = (new + reset * new_kept).tanh()
            state = new + update * (state - new)
            states.append(state)
        return torch.stack(states)


#: What multiplies with random numbers, and with nothing else.
_DROPS: Final = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, StochasticDepth)


def rate_of(layer: nn.Module) -> float:
    """The probability with which a layer drops, whatever it calls it; 0.0 of all others."""
    match layer:
        case nn.Dropout() | nn.Dropout1d() | nn.Dropout2d() | nn.Dropout3d():
            return float(layer.p)
        case StochasticDepth():
            return layer.probability
        case Attention():
            return layer.dropout
        case nn.GRU():
            return float(layer.dropout)
        case _:
            return 0.0


def dropper_of(layer: nn.Module) -> nn.Module:
    """What of ones makes the mask that `layer` multiplies with, drawn as the layer draws it."""
    return layer if isinstance(layer, _DROPS) else nn.Dropout(rate_of(layer))


def for_lanes(network: nn.Module, masks: Masks) -> nn.Module:
    """A copy of the network, its weights and buffers under the same names, that asks for masks.

    A layer whose rate is 0 asks for none. A subclass of others' may do more than what it is derived
    from, and stays: where it draws, `vmap` refuses it.
    """
    network = deepcopy(network)
    for name, layer in list(network.named_modules(remove_duplicate=False)):
        dropped = Masked(masks, name) if rate_of(layer) > 0 else nn.Identity()
        if type(layer) in _DROPS:
            network.set_submodule(name, dropped)
        elif type(layer) is nn.Linear and name:
            network.set_submodule(name, LaneLinear(layer))
        elif isinstance(layer, Attention):
            network.set_submodule(name, MaskedAttention(layer, dropped))
        elif type(layer) is nn.GRU:
            network.set_submodule(name, MaskedGRU(layer, dropped))
    return network
