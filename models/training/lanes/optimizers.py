"""The updates of torch.optim for all lanes at once: a few operations on (K, P), whatever K is.

Each lane has its own rate, momentum and so on. What of them does not depend on gradients is worked
out for a whole epoch beforehand, in double precision as torch.optim does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

#: By name: of a lane, of all lanes' steps (S, K), of a step (K, 1), or a memory (K, P).
Numbers = Mapping[str, float]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How an optimizer updates weights."""

    #: What it remembers of each weight, named as in torch.optim.
    memory: tuple[str, ...]
    #: Whether it counts its steps, as ``step``.
    counts: bool
    #: What it reads of a parameter group.
    numbers: Callable[[Mapping[str, Any]], Numbers]
    #: What it computes with: of those numbers (K,), rates (S, K) and counts of steps (S, K).
    factors: Callable[[Tensors, Tensor, Tensor], dict[str, Tensor]]
    #: Changes weights (K, P) and memory by gradients (K, P), which it may overwrite. Only the first
    #: `decayed` columns decay.
    update: Callable[[Tensor, Tensor, Tensors, Tensors, int], None]

    def remembers(self, name: str, group: Mapping[str, Any]) -> bool:
        """Whether torch's optimizer keeps this memory: no momentum is not remembered."""
        return name != "momentum_buffer" or group["momentum"] > 0


def rule_of(optimizer: torch.optim.Optimizer) -> Rule | None:
    """The rule of this very kind of optimizer; None where lanes have none."""
    return _RULES.get(type(optimizer))


def _penalise(weights: Tensor, gradients: Tensor, factors: Tensors, decayed: int) -> None:
    gradients[:, :decayed].addcmul_(weights[:, :decayed], factors["weight_decay"])


def _sgd_numbers(group: Mapping[str, Any]) -> Numbers:
    return {name: float(group[name]) for name in ("momentum", "nesterov", "weight_decay")}


def _sgd_factors(numbers: Tensors, rates: Tensor, counts: Tensor) -> dict[str, Tensor]:
    momentum, nesterov = numbers["momentum"], numbers["nesterov"]
    return {
        "weight_decay": numbers["weight_decay"].expand_as(rates),
        "momentum": momentum.expand_as(rates),
        # Nesterov's looks ahead along the momentum; without it the momentum is the step.
        "of_gradient": nesterov.expand_as(rates),
        "of_momentum": torch.lerp(torch.ones_like(momentum), momentum, nesterov).expand_as(rates),
        "stride": -rates,
    }


def _sgd(
    weights: Tensor, gradients: Tensor, memory: Tensors, factors: Tensors, decayed: int
) -> None:
    _penalise(weights, gradients, factors, decayed)
    momentum = memory["momentum_buffer"].mul_(factors["momentum"]).add_(gradients)
    step = gradients.mul_(factors["of_gradient"]).addcmul_(momentum, factors["of_momentum"])
    weights.addcmul_(step, factors["stride"])


def _adam_numbers(group: Mapping[str, Any]) -> Numbers:
    beta1, beta2 = group["betas"]
    decay, eps = group["weight_decay"], group["eps"]
    return {"beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": decay}


def _adam_factors(numbers: Tensors, rates: Tensor, counts: Tensor) -> dict[str, Tensor]:
    beta1, beta2 = numbers["beta1"], numbers["beta2"]
    return {
        "weight_decay": numbers["weight_decay"].expand_as(rates),
        "kept": 1 - rates * numbers["weight_decay"],
        "beta2": beta2.expand_as(rates),
        "new1": (1 - beta1).expand_as(rates),
        "new2": (1 - beta2).expand_as(rates),
        "eps": numbers["eps"].expand_as(rates),
        "root": (1 - beta2**counts).sqrt(),
        "stride": -rates / (1 - beta1**counts),
    }


def _adam(
    weights: Tensor, gradients: Tensor, memory: Tensors, factors: Tensors, decayed: int
) -> None:
    _penalise(weights, gradients, factors, decayed)
    _adapt(weights, gradients, memory, factors)


def _adamw(
    weights: Tensor, gradients: Tensor, memory: Tensors, factors: Tensors, decayed: int
) -> None:
    weights[:, :decayed].mul_(factors["kept"])
    _adapt(weights, gradients, memory, factors)


def _adapt(weights: Tensor, gradients: Tensor, memory: Tensors, factors: Tensors) -> None:
    mean = memory["exp_avg"].lerp_(gradients, factors["new1"])
    square = memory["exp_avg_sq"].mul_(factors["beta2"])
    square.addcmul_(gradients * factors["new2"], gradients)
    scale = square.sqrt().div_(factors["root"]).add_(factors["eps"])
    weights.addcdiv_(mean * factors["stride"], scale)


def _rmsprop_numbers(group: Mapping[str, Any]) -> Numbers:
    return {name: float(group[name]) for name in ("alpha", "eps", "momentum", "weight_decay")}


def _rmsprop_factors(numbers: Tensors, rates: Tensor, counts: Tensor) -> dict[str, Tensor]:
    same = {name: number.expand_as(rates) for name, number in numbers.items()}
    return {**same, "new": 1 - same["alpha"], "stride": -rates}


def _rmsprop(
    weights: Tensor, gradients: Tensor, memory: Tensors, factors: Tensors, decayed: int
) -> None:
    _penalise(weights, gradients, factors, decayed)
    square = memory["square_avg"].mul_(factors["alpha"])
    square.addcmul_(gradients * factors["new"], gradients)
    step = gradients.div_(square.sqrt().add_(factors["eps"]))
    momentum = memory["momentum_buffer"].mul_(factors["momentum"]).add_(step)
    weights.addcmul_(momentum, factors["stride"])


_MOMENTS: Final = ("exp_avg", "exp_avg_sq")
_RULES: Final[Mapping[type[torch.optim.Optimizer], Rule]] = {
    torch.optim.SGD: Rule(
        memory=("momentum_buffer",),
        counts=False,
        numbers=_sgd_numbers,
        factors=_sgd_factors,
        update=_sgd,
    ),
    torch.optim.Adam: Rule(
        memory=_MOMENTS, counts=True, numbers=_adam_numbers, factors=_adam_factors, update=_adam
    ),
    torch.optim.AdamW: Rule(
        memory=_MOMENTS, counts=True, numbers=_adam_numbers, factors=_adam_factors, update=_adamw
    ),
    torch.optim.RMSprop: Rule(
        memory=("square_avg", "momentum_buffer"),
        counts=True,
        numbers=_rmsprop_numbers,
        factors=_rmsprop_factors,
        update=_rmsprop,
    ),
}
