"""What of a space was tried already, and what is left."""

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from models.hyperparameters import Config, Real, Value
from tuner.planning.feasibility import Feasible
from tuner.search.grid import Grid
from tuner.space import Space

#: Grid points in a row that cannot be carried out before the grid counts as used up.
MOST_INFEASIBLE: Final = 100_000


class Tried:
    """The configurations that count as tried; each is looked up in constant time. Thread-safe.

    Those of trials under way do; of ended ones where it `remembers`, but for cancelled ones.
    """

    def __init__(self, space: Space, *, remembers: bool) -> None:
        self._remembers = remembers
        self._stepped = {p.name: p for p in space.parameters if isinstance(p, Real) and p.step}
        self._trials: Counter[tuple[Any, ...]] = Counter()
        self._under_way: dict[int, tuple[Any, ...]] = {}
        self._lock = threading.Lock()

    def __contains__(self, config: Config) -> bool:
        return self._trials[self._key(config)] > 0

    def begin(self, number: int, config: Config) -> None:
        """Note that trial `number` tries `config`."""
        key = self._key(config)
        with self._lock:
            self._under_way[number] = key
            self._trials[key] += 1

    def end(self, number: int, *, cancelled: bool) -> None:
        """Note that trial `number` is over; once is enough."""
        with self._lock:
            key = self._under_way.pop(number, None)
            if key is not None and (cancelled or not self._remembers):
                self._trials[key] -= 1

    def _key(self, config: Config) -> tuple[Any, ...]:
        """Equal for equal configurations, and for no others."""
        # True and 1 are equal to Python, but not the same value of a parameter.
        return tuple(
            sorted((name, isinstance(v, bool), self._place(name, v)) for name, v in config.items())
        )

    def _place(self, name: str, value: Value) -> Value:
        # Between two ways to reckon a step lie the last digits of a float.
        stepped = self._stepped.get(name)
        if stepped is None or stepped.step is None:
            return value
        return round((float(value) - stepped.low) / stepped.step)


def untried(
    space: Space, tried: Tried, feasible: Feasible, *, seed: int, whole: bool
) -> Iterator[dict[str, Value]]:
    """The points of a space's grid that can be carried out and are not tried as they come up."""
    refused = 0
    for point in Grid(space, seed=seed, whole=whole):
        if point in tried:
            continue
        if feasible(point):
            refused = 0
            yield point
        elif (refused := refused + 1) >= MOST_INFEASIBLE:
            return
