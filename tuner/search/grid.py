"""Every combination of a space's values, each once, without ever holding them all."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Real, Value
from tuner.errors import TunerError
from tuner.planning.finiteness import all_values, rulers_of, top_of
from tuner.space import Space, is_active

#: Steps and whole numbers are taken one by one up to so many values.
MOST_VALUES: Final = 10
#: Else the range is represented by so many points.
POINTS: Final = 5


class SpaceExhausted(TunerError):
    """There is no configuration left to propose."""

    def __init__(self, job: str) -> None:
        super().__init__(f"Job {job} has tried every configuration there is.")
        self.job = job


def values_on_grid(parameter: Hyperparameter) -> tuple[Value, ...]:
    """The values of `parameter` that stand on the grid, smallest first."""
    match parameter:
        case Fixed():
            return (parameter.value,)
        case Choice():
            return parameter.choices
        case Integer():
            count = (parameter.high - parameter.low) // parameter.step + 1
            ticks = _ticks(count, parameter.low, parameter.step, log=parameter.log)
            return tuple(parameter.low + tick * parameter.step for tick in ticks)
        case Real(step=None):
            return _spread(parameter)
        case Real(step=float(step)):
            top = top_of(parameter)
            ticks = _ticks(round((top - parameter.low) / step) + 1, parameter.low, step, log=False)
            # 3 × 0.1 is more than 0.3.
            return tuple(min(parameter.low + tick * step, top) for tick in ticks)
    raise TypeError(f"{parameter!r} is no parameter.")


def _ticks(count: int, low: float, step: float, *, log: bool) -> list[int]:
    """Which of `count` steps from `low` stand on the grid."""
    if count <= MOST_VALUES:
        return list(range(count))
    shares = [i / (POINTS - 1) for i in range(POINTS)]
    top = low + (count - 1) * step
    if log:
        return sorted({round((low * (top / low) ** share - low) / step) for share in shares})
    return [round((count - 1) * share) for share in shares]


def _spread(parameter: Real) -> tuple[float, ...]:
    low, high = parameter.low, parameter.high
    if low == high:
        return (low,)
    inner = [i / (POINTS - 1) for i in range(1, POINTS - 1)]
    if parameter.log:
        return (low, *(low * (high / low) ** share for share in inner), high)
    return (low, *(low + (high - low) * share for share in inner), high)


@dataclass(frozen=True, slots=True)
class _Branch:
    """The parameters active under one assignment of those that conditions name."""

    values: tuple[tuple[str, Sequence[Value]], ...]

    @property
    def size(self) -> int:
        return math.prod(len(values) for _, values in self.values)

    def configuration(self, index: int) -> dict[str, Value]:
        config = {}
        for name, values in self.values:
            index, digit = divmod(index, len(values))
            config[name] = values[digit]
        return config


class Grid:
    """The configurations of a space on its grid, shuffled by the seed.

    A `whole` one has all values of every parameter; the space must not be `endless`.
    """

    def __init__(self, space: Space, *, seed: int, whole: bool = False) -> None:
        self._branches = _branches(space, _every_value if whole else values_on_grid)
        self.size = sum(branch.size for branch in self._branches)
        self._seed = seed

    def __iter__(self) -> Iterator[dict[str, Value]]:
        """All configurations: the order depends on the seed only."""
        # Any stride without a common divisor visits every place once; one near the golden
        # section spreads the first few over the whole grid.
        chance = random.Random(self._seed)
        start = chance.randrange(self.size)
        stride = max(1, round(self.size * (0.3819660113 + 0.01 * chance.random())))
        while math.gcd(stride, self.size) != 1:
            stride += 1
        for place in range(self.size):
            yield self._configuration((start + place * stride) % self.size)

    def _configuration(self, index: int) -> dict[str, Value]:
        for branch in self._branches:
            if index < branch.size:
                return branch.configuration(index)
            index -= branch.size
        raise IndexError(index)


def _every_value(parameter: Hyperparameter) -> Sequence[Value]:
    values = all_values(parameter)
    if values is None:
        raise ValueError(f"There is no end of values of {parameter.name}.")
    return values


def _branches(
    space: Space, values_of: Callable[[Hyperparameter], Sequence[Value]]
) -> Sequence[_Branch]:
    """One branch for each assignment of the parameters that rule others."""
    assignments: list[dict[str, Value]] = [{}]
    for ruler in rulers_of(space):
        assignments = [
            config | chosen
            for config in assignments
            for chosen in (
                [{ruler.name: value} for value in values_of(ruler)]
                if is_active(ruler, config)
                else [{}]
            )
        ]
    return [
        _Branch(
            tuple(
                (p.name, (assigned[p.name],) if p.name in assigned else values_of(p))
                for p in space.parameters
                if is_active(p, assigned)
            )
        )
        for assigned in assignments
    ]
