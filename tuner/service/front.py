"""Of what is judged by several metrics: what nothing else is better than in all of them."""

from collections.abc import Mapping, Sequence

from tuner.states import Direction


def pareto_front(
    values: Mapping[int, Sequence[float]], directions: Sequence[Direction]
) -> list[int]:
    """The keys whose values no others dominate, the best by the first metric first.

    One dominates another that is at least as good in every metric and better in one; of equals all
    are in the front. In time proportional to the values times the front.
    """
    signs = [1 if direction is Direction.MINIMIZE else -1 for direction in directions]
    costs = {
        key: tuple(sign * value for sign, value in zip(signs, told, strict=True))
        for key, told in values.items()
    }
    front: list[int] = []
    # In this order nothing is dominated by what comes later.
    for key in sorted(costs, key=lambda key: (costs[key], key)):
        if not any(_dominates(costs[other], costs[key]) for other in front):
            front.append(key)
    return front


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
