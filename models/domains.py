"""The values a hyperparameter can have at all, whatever range one searches. Torch-free.

A default range is an opinion, a domain is a fact: a learning rate of 10 is unwise, one of -1 is an
error. `refusal` tells the two apart before anything is built.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.catalog import ConfigRefused
from models.data.tables.options import SCALINGS
from models.hyperparameters import Config, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Numbers from `low` to `high`; an open end is itself excluded."""

    low: float
    high: float = math.inf
    whole: bool = False
    low_open: bool = False
    high_open: bool = False

    def wish(self) -> str:
        """What a value must be, in words."""
        kind = "a whole number" if self.whole else "a number"
        low = f"above {self.low:g}" if self.low_open else f"of at least {self.low:g}"
        if math.isinf(self.high):
            return f"must be {kind} {low}"
        high = f"below {self.high:g}" if self.high_open else f"at most {self.high:g}"
        return f"must be {kind} {low} and {high}"

    def holds(self, value: object) -> bool:
        """Whether `value` is one of these numbers; True is none."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open or math.isinf(self.high) else value <= self.high
        return above and below


@dataclass(frozen=True, slots=True)
class Names:
    """A few names, or True and False."""

    values: tuple[Value, ...]

    def wish(self) -> str:
        """What a value must be, in words."""
        return "must be one of " + ", ".join(repr(v) for v in self.values)

    def holds(self, value: object) -> bool:
        """Whether `value` is one of these; 1 is not True."""
        return any(type(v) is type(value) and v == value for v in self.values)


ACTIVATIONS: Final = ("relu", "gelu", "silu")
NORMALISATIONS: Final = ("none", "batch", "layer", "group")
POOLINGS: Final = ("none", "max", "avg", "stride")
AVERAGINGS: Final = ("none", "ema", "swa")
PRECISIONS: Final = ("auto", "float32", "bfloat16", "float16")
READOUTS: Final = ("mean", "max", "last")
BALANCES: Final = ("none", "weights", "sampling")
SCHEDULES: Final = ("constant", "cosine", "linear", "one_cycle", "step", "plateau")

_SWITCH: Final = Names((False, True))
_FRACTION: Final = Numbers(low=0, high=1)
_FRACTION_BELOW_1: Final = Numbers(low=0, high=1, high_open=True)
_NOT_NEGATIVE: Final = Numbers(low=0)

DOMAINS: Final[Mapping[str, Numbers | Names]] = {
    "accumulation": Numbers(low=1, whole=True),
    "activation": Names(ACTIVATIONS),
    "alpha": _FRACTION_BELOW_1,
    "attention_dropout": _FRACTION_BELOW_1,
    "averaging": Names(AVERAGINGS),
    "balance": Names(BALANCES),
    "batch_size": Numbers(low=1, whole=True),
    "beta1": _FRACTION_BELOW_1,
    "beta2": _FRACTION_BELOW_1,
    "bidirectional": _SWITCH,
    "class_token": _SWITCH,
    "clip_norm": _NOT_NEGATIVE,
    "crop": _FRACTION_BELOW_1,
    "cutmix": _NOT_NEGATIVE,
    "cutout": _FRACTION_BELOW_1,
    "delta": Numbers(low=0, low_open=True),
    "depth": Numbers(low=1, high=1000, whole=True),
    "dropout": _FRACTION_BELOW_1,
    "early_stopping": Numbers(low=0, whole=True),
    "ema_decay": _FRACTION_BELOW_1,
    "folds": Numbers(low=1, high=100, whole=True),
    "embedding_sigma": Numbers(low=0, low_open=True),
    "flip": _SWITCH,
    "gamma": _NOT_NEGATIVE,
    "growth": Numbers(low=0, low_open=True),
    "heads": Numbers(low=1, whole=True),
    "kernel": Numbers(low=1, whole=True),
    "label_smoothing": _FRACTION_BELOW_1,
    "lr": Numbers(low=0, low_open=True),
    "margin": Numbers(low=0, low_open=True),
    "margin_power": Names((1, 2)),
    "mixup": _NOT_NEGATIVE,
    "mlp_ratio": Numbers(low=1, whole=True),
    "momentum": _FRACTION_BELOW_1,
    "nesterov": _SWITCH,
    "noise": _NOT_NEGATIVE,
    "normalisation": Names(NORMALISATIONS),
    "number_embedding": Names(("none", "periodic")),
    "patch": Numbers(low=1, whole=True),
    "pooling": Names(POOLINGS),
    "readout": Names(READOUTS),
    "precision": Names(PRECISIONS),
    "residual": _SWITCH,
    "residual_dropout": _FRACTION_BELOW_1,
    "rho": _FRACTION_BELOW_1,
    "scaling": Names(SCALINGS),
    "schedule": Names(SCHEDULES),
    "shift": _FRACTION_BELOW_1,
    "stages": Numbers(low=1, high=1000, whole=True),
    "stochastic_depth": _FRACTION_BELOW_1,
    "tied": _SWITCH,
    "swa_start": _FRACTION_BELOW_1,
    "warmup": _FRACTION_BELOW_1,
    "warp": _FRACTION,
    "weight_decay": _NOT_NEGATIVE,
    "width": Numbers(low=1, whole=True),
}


def refusal(parameter: str, value: object) -> str | None:
    """What is wrong with `value`, as a clause that follows it; None if nothing is."""
    domain = DOMAINS.get(parameter)
    return None if domain is None or domain.holds(value) else domain.wish()


def check(config: Config) -> None:
    """Refuse a configuration nothing can be built from.

    Raises:
        ConfigRefused: naming the first parameter with an impossible value.
    """
    for parameter, value in config.items():
        wish = refusal(parameter, value)
        if wish is not None:
            raise ConfigRefused(parameter, value, wish)
