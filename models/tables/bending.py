"""Numbers bent into a normal distribution by their training quantiles."""

from statistics import NormalDist
from typing import Final

import numpy as np

from models.tables.values import Floats

#: Levels at which the training rows' values are kept.
KNOTS: Final = 128


def knots_of(values: Floats) -> tuple[float, ...]:
    """The values at `KNOTS` levels evenly apart."""
    knots: list[float] = np.quantile(values, _levels()).tolist()
    return tuple(knots)


def bent(values: Floats, knots: tuple[float, ...]) -> Floats:
    """The values as standard normal scores of their places among `knots`; as they are if none.

    A value held by several knots gets the score of their middle; beyond the outermost knots the
    score is that of these.
    """
    if not knots:
        return values
    normal = NormalDist()
    scores = np.array([normal.inv_cdf(level) for level in _levels().tolist()])
    places = np.array(knots)
    low = np.interp(values, places, scores)
    high = -np.interp(-values, -places[::-1], -scores[::-1])
    middle: Floats = (low + high) / 2
    return middle


def _levels() -> Floats:
    return (np.arange(KNOTS) + 0.5) / KNOTS
