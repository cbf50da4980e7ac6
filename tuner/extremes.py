"""The cheapest and the costliest configuration of a space, and the way from one to another."""

import math
from functools import partial
from typing import Any, Final

from models.hyperparameters import Choice, Config, Fixed, Hyperparameter, Integer, Real, Value
from tuner.capacity import Capacity, own_hyperparameters
from tuner.space import Space

#: Values of a real range that are told apart.
_FINENESS: Final = 2**20
#: Strides from one configuration to another.
_STRIDES: Final = 64


def extreme(space: Space, capacity: Capacity, *, costliest: bool) -> dict[str, Value]:
    """The point of `space` that costs least, or most.

    Found one parameter at a time, twice around: exact where the cheap and the dear values of each
    parameter are the same whatever the others are, which holds for the catalogue's models.
    """
    sign = -1 if costliest else 1

    def cost_with(name: str, value: Value) -> tuple[float, float]:
        over, cost = capacity.cost(space.complete({**point, name: value}))
        return sign * over, sign * cost

    point = space.defaults()
    for _ in range(2):
        for parameter in sized(space, capacity):
            point[parameter.name] = min(ends(parameter), key=partial(cost_with, parameter.name))
    return point


def sized(space: Space, capacity: Capacity) -> list[Hyperparameter]:
    """The searched parameters that may change what a configuration costs."""
    names = {*own_hyperparameters(capacity.model, capacity.shape), "batch_size", "optimizer"}
    return [p for p in space.searched if p.name in names]


def ends(parameter: Hyperparameter) -> tuple[Value, ...]:
    """The values between which all values of `parameter` lie; every one of a choice's."""
    match parameter:
        case Integer() | Real():
            return parameter.low, parameter.high
        case Choice():
            return parameter.choices
        case Fixed():
            return (parameter.value,)


def first_fitting(
    space: Space, capacity: Capacity, *, start: Config, goal: Config
) -> dict[str, Value]:
    """The first configuration on the way from `start` to `goal` that fits; `goal` does.

    The numbers move first, then the choices with them.
    """
    # What one end leaves open, because it is inactive there, stays as the other end has it.
    start, goal = {**goal, **start}, {**start, **goal}
    movable = [p for p in sized(space, capacity) if p.name in start]
    for choices_too in (False, True):
        for stride in range(_STRIDES + 1):
            moved = {
                p.name: _between(p, start[p.name], goal[p.name], stride)
                for p in movable
                if choices_too or isinstance(p, Integer | Real)
            }
            config = space.complete({**start, **moved})
            if capacity.fits(config):
                return config
    return space.complete(goal)


def _between(parameter: Hyperparameter, start: Value, goal: Value, stride: int) -> Value:
    if stride == 0 and isinstance(parameter, Integer | Real):
        return start
    if stride == _STRIDES or not isinstance(parameter, Integer | Real):
        return goal
    first, last = step_of(parameter, start), step_of(parameter, goal)
    return at_step(parameter, first + (last - first) * stride // _STRIDES)


def at_step(parameter: Integer | Real, step: int) -> Value:
    """The value so many steps above the low end; a range without steps has `_FINENESS`."""
    if parameter.step is not None:
        return parameter.low + step * parameter.step
    share = step / _FINENESS
    if parameter.log:
        low, high = math.log(parameter.low), math.log(parameter.high)
        value = math.exp(low + (high - low) * share)
    else:
        value = parameter.low + (parameter.high - parameter.low) * share
    return min(max(value, parameter.low), parameter.high)


def step_of(parameter: Integer | Real, value: Any) -> int:
    """The step of a value of the range."""
    if isinstance(parameter, Integer):
        return int(value - parameter.low) // parameter.step
    share: float
    if parameter.step is not None:
        share = (value - parameter.low) / parameter.step
        return round(share)
    if parameter.log:
        low, high = math.log(parameter.low), math.log(parameter.high)
        share = (math.log(value) - low) / (high - low)
    else:
        share = (value - parameter.low) / (parameter.high - parameter.low)
    return round(share * _FINENESS)
