"""The training loss of each lane, whose numbers are its own.

torch's losses take their numbers as Python floats, the same for all that is computed at once. Those
that may differ between lanes are spelt out here with tensors in their place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from models.build import MeanOfRows
from models.losses.bce import TwoLogitBCE, two_logit_losses
from models.losses.focal import FocalLoss, focal_losses
from models.losses.numbers import NumberLoss
from models.losses.shares import class_shares

#: Gives the losses of rows, of outputs, targets and a lane's numbers by name.
Losses = Callable[..., Tensor]


@dataclass(frozen=True, slots=True)
class LaneLoss:
    """A loss of which each lane has its own numbers."""

    module: nn.Module
    #: Whether torch's compiler is to read it.
    compiled: bool = False

    @property
    def own(self) -> frozenset[str]:
        """What may differ between lanes."""
        return frozenset(_own_of(_core(self.module)))

    def numbers_of(self, loss: nn.Module) -> dict[str, Tensor]:
        """The numbers of a lane's loss, which is of the same kind."""
        core = _core(loss)
        numbers = {name: torch.tensor(float(getattr(core, name))) for name in _own_of(core)}
        weight = getattr(core, "weight", None)
        return numbers if weight is None else {**numbers, "weight": weight}

    def __call__(self, outputs: Tensor, targets: Tensor, numbers: Mapping[str, Tensor]) -> Tensor:
        """The mean over the batch; for one lane, under `vmap`."""
        core = _core(self.module)
        if type(core) not in _LOSSES:
            mean: Tensor = self.module(outputs, targets)
            return mean
        losses, _ = _LOSSES[type(core)]
        if isinstance(self.module, NumberLoss):
            outputs = outputs.squeeze(1)
        if self.compiled and losses is _cross_entropies:
            losses = _cross_entropies_to_compile
        if isinstance(core, nn.MultiMarginLoss):
            return losses(outputs, targets, power=core.p, **numbers).mean()
        return losses(outputs, targets, **numbers).mean()


def _core(loss: nn.Module) -> nn.Module:
    inner = loss.loss if isinstance(loss, NumberLoss | MeanOfRows) else loss
    return inner if isinstance(inner, nn.Module) else loss


def _own_of(core: nn.Module) -> tuple[str, ...]:
    known = _LOSSES.get(type(core))
    return () if known is None else (known[1],)


def _cross_entropies(
    logits: Tensor, labels: Tensor, *, label_smoothing: Tensor, weight: Tensor | None = None
) -> Tensor:
    """As torch.nn.CrossEntropyLoss: of labels (B,) or (B, L), or of shares (B, classes)."""
    # Not `log_softmax`: for so few classes that takes, there and back, a sixth of a step of lanes.
    ahead = logits - logits.detach().amax(1, keepdim=True)  # (B, classes) or (B, classes, L)
    logs = ahead - ahead.exp().sum(1, keepdim=True).log()
    shares = class_shares(labels, logs)
    shares = shares.lerp(torch.full_like(shares, 1 / logs.shape[1]), label_smoothing)
    if weight is not None:
        shares = (shares.movedim(1, -1) * weight).movedim(-1, 1)
    return -(logs * shares).sum(1)


def _cross_entropies_to_compile(
    logits: Tensor, labels: Tensor, *, label_smoothing: Tensor, weight: Tensor | None = None
) -> Tensor:
    """The same in words that torch 2.13's compiler for CPUs understands: of others it makes a loop
    of which it then misses a part (a `KeyError`)."""
    logs = logits.log_softmax(1)
    if labels.is_floating_point():
        right = (logs * (labels if weight is None else labels * weight)).sum(1)
    else:
        right = logs.gather(1, labels.unsqueeze(1)).squeeze(1)
        right = right if weight is None else right * weight[labels]
    if weight is None:
        everywhere = logs.mean(1)
    else:
        everywhere = torch.tensordot(logs, weight, ([1], [0])) / logs.shape[1]
    return -torch.lerp(right, everywhere, label_smoothing)


def _hubers(predictions: Tensor, targets: Tensor, *, delta: Tensor) -> Tensor:
    """As torch.nn.HuberLoss."""
    errors = (predictions - targets).abs()
    return torch.where(errors <= delta, errors.square() / 2, delta * (errors - delta / 2))


def _margins(
    logits: Tensor, labels: Tensor, *, margin: Tensor, power: int, weight: Tensor | None = None
) -> Tensor:
    """As torch.nn.MultiMarginLoss."""
    places = labels.unsqueeze(1)
    short = (margin - logits.gather(1, places) + logits).relu() ** power
    others = torch.arange(logits.shape[1], device=labels.device) != places
    losses = torch.where(others, short, torch.zeros_like(short)).mean(1)
    return losses if weight is None else losses * weight[labels]


#: Of each kind what it computes, and the number that may differ between lanes.
_LOSSES: Final[Mapping[type[nn.Module], tuple[Losses, str]]] = {
    nn.CrossEntropyLoss: (_cross_entropies, "label_smoothing"),
    TwoLogitBCE: (two_logit_losses, "label_smoothing"),
    FocalLoss: (focal_losses, "gamma"),
    nn.MultiMarginLoss: (_margins, "margin"),
    nn.HuberLoss: (_hubers, "delta"),
}
