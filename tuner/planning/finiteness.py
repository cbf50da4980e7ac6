"""Which spaces have an end of configurations, and the values these are made of."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Real, Value
from tuner.parameters_written import describe
from tuner.space import Space

#: So many combinations of the values that conditions look at are told apart, each by itself.
MOST_BRANCHES: Final = 10_000


def top_of(parameter: Real) -> float:
    """The largest value: of a range with steps the last one, in decimals as they are written."""
    if parameter.step is None:
        return parameter.high
    low, high, step = (Decimal(str(x)) for x in (parameter.low, parameter.high, parameter.step))
    return float(high - (high - low) % step)


@dataclass(frozen=True, slots=True)
class _Steps(Sequence[float]):
    """The values of a real range with steps, never written out."""

    low: float
    step: float
    top: float
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self.length:
            raise IndexError(index)
        # 3 × 0.1 is more than 0.3.
        return min(self.low + index * self.step, self.top)


def all_values(parameter: Hyperparameter) -> Sequence[Value] | None:
    """Every value of `parameter`, the smallest first; None where there is no end of them."""
    match parameter:
        case Fixed():
            return (parameter.value,)
        case Choice():
            return parameter.choices
        case Integer():
            values = range(parameter.low, parameter.high + 1, parameter.step)
            return values if (values.stop - values.start) < sys.maxsize else None
        case Real(step=None):
            return (parameter.low,) if parameter.low == parameter.high else None
        case Real(step=float(step)):
            top = top_of(parameter)
            last = (top - parameter.low) / step
            return _Steps(parameter.low, step, top, round(last) + 1) if last < 2**53 else None
    raise TypeError(f"{parameter!r} is no parameter.")


def rulers_of(space: Space) -> list[Hyperparameter]:
    """The parameters that conditions of others look at."""
    names = {when.parameter for p in space.parameters for when in p.when}
    return [p for p in space.parameters if p.name in names]


def endless(space: Space) -> str | None:
    """Why the configurations of `space` cannot be counted up, and the remedy; None if they can."""
    for parameter in space.parameters:
        if all_values(parameter) is None:
            return (
                f"{parameter.name} is {describe(parameter)}, of which there is no end; give it a "
                "step, or a choice of values"
            )
    rulers = rulers_of(space)
    branches = math.prod(len(all_values(p) or ()) for p in rulers)
    if branches > MOST_BRANCHES:
        return (
            f"others depend on {', '.join(p.name for p in rulers)}, and these have {branches:,} "
            f"values together; leave at most {MOST_BRANCHES:,}"
        )
    return None
