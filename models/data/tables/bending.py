"""Numbers bent towards a normal distribution: by their training quantiles, or by a power."""

from statistics import NormalDist
from typing import Final

import numpy as np

from models.data.tables.values import Floats

#: Levels at which the training rows' values are kept.
KNOTS: Final = 128
#: The powers that are tried; 1 leaves values as they are.
POWERS: Final = (-1.0, 3.0)
#: Values enough to tell a power by.
_ENOUGH: Final = 20_000
#: In median sizes: the squares of farther values' powers would be infinite.
_FARTHEST: Final = 1e30
_GOLDEN: Final = (5**0.5 - 1) / 2
#: Steps that narrow the powers down to a hundred-thousandth.
_STEPS: Final = 27


def knots_of(values: Floats) -> tuple[float, ...]:
    """The values at `KNOTS` levels evenly apart."""
    knots: list[float] = np.quantile(values, _levels()).tolist()
    return tuple(knots)


def bent(
    values: Floats, knots: tuple[float, ...] = (), *, size: float = 1.0, power: float = 1.0
) -> Floats:
    """The values as standard normal scores of their places among `knots`; if none, by `power`.

    A value held by several knots gets the score of their middle; beyond the outermost knots the
    score is that of these.
    """
    if not knots:
        return values if power == 1 else raised(in_sizes(values, size), power)
    normal = NormalDist()
    scores = np.array([normal.inv_cdf(level) for level in _levels().tolist()])
    places = np.array(knots)
    low = np.interp(values, places, scores)
    high = -np.interp(-values, -places[::-1], -scores[::-1])
    middle: Floats = (low + high) / 2
    return middle


def raised(values: Floats, power: float) -> Floats:
    """Yeo and Johnson's transformation with lambda `power` (Biometrika 87(4), 2000, equation 2.1).

    It keeps signs and order.
    """
    logs = np.log1p(np.minimum(np.abs(values), _FARTHEST))
    positive = logs if power == 0 else np.expm1(power * logs) / power
    negative = logs if power == 2 else np.expm1((2 - power) * logs) / (2 - power)
    signed: Floats = np.where(values < 0, -negative, positive)
    return signed


def size_of(values: Floats) -> float:
    """The median size of the values that are not zero, so that no power depends on their unit."""
    sizes = np.abs(values[values != 0])
    return float(np.median(sizes)) if len(sizes) else 1.0


def in_sizes(values: Floats, size: float) -> Floats:
    """The values in units of `size`; what is too large for a float is infinite."""
    with np.errstate(over="ignore"):
        return values / size


def power_of(values: Floats) -> float:
    """The power within `POWERS` with which the values are likeliest to be normal.

    By golden section of the likelihood (section 3 there), from an even choice of the values where
    there are very many.
    """
    values = np.sort(values)[:: -(-len(values) // _ENOUGH)]
    slope = float((np.sign(values) * np.log1p(np.minimum(np.abs(values), _FARTHEST))).mean())

    def likelihood(power: float) -> float:
        variance = float(raised(values, power).var())
        return (power - 1) * slope - 0.5 * float(np.log(max(variance, 1e-300)))

    low, high = POWERS
    for _ in range(_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if likelihood(left) > likelihood(right):
            high = right
        else:
            low = left
    return (low + high) / 2


def _levels() -> Floats:
    return (np.arange(KNOTS) + 0.5) / KNOTS
