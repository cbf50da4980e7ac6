"""Every combination of a space's values, each once, without ever holding them all."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from models.hyperparameters import Choice, Config, Fixed, Hyperparameter, Integer, Real, Value
from tuner.errors import TunerError
from tuner.space import Space, is_active

#: Steps and whole numbers are taken one by one up to so many values.
MOST_VALUES: Final = 10
#: Else the range is represented by so many points.
POINTS: Final = 5


class SpaceExhausted(TunerError):
    """The grid has no configuration left to propose."""

    def __init__(self, job: str) -> None:
        super().__init__(f"Job {job} has tried every configuration of its grid.")
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
            count = math.floor((parameter.high - parameter.low) / step + 1e-8) + 1
            ticks = _ticks(count, parameter.low, step, log=False)
            return tuple(parameter.low + tick * step for tick in ticks)
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

    values: tuple[tuple[str, tuple[Value, ...]], ...]

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
    """The configurations of a space on its grid, shuffled by the seed."""

    def __init__(self, space: Space, *, seed: int) -> None:
        self._branches = _branches(space)
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


def _branches(space: Space) -> Sequence[_Branch]:
    """One branch for each assignment of the parameters that rule others."""
    rulers = {when.parameter for p in space.parameters for when in p.when}
    assignments: list[dict[str, Value]] = [{}]
    for parameter in space.parameters:
        if parameter.name in rulers:
            assignments = [
                config | chosen for config in assignments for chosen in _choices(parameter, config)
            ]
    return [_branch(space, assigned) for assigned in assignments]


def _choices(parameter: Hyperparameter, config: Config) -> list[dict[str, Value]]:
    if not is_active(parameter, config):
        return [{}]
    return [{parameter.name: value} for value in values_on_grid(parameter)]


def _branch(space: Space, assigned: Config) -> _Branch:
    return _Branch(
        tuple(
            (p.name, (assigned[p.name],) if p.name in assigned else values_on_grid(p))
            for p in space.parameters
            if is_active(p, assigned)
        )
    )


def key_of(config: Config) -> tuple[Any, ...]:
    """Equal for equal configurations, and for no others."""
    # True and 1 are equal to Python, but not the same value of a parameter.
    return tuple(sorted((name, isinstance(v, bool), v) for name, v in config.items()))
