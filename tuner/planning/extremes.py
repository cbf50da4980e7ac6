"""The cheapest and the costliest configuration of a space."""

from functools import partial

from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Real, Value
from tuner.planning.capacity import Capacity, own_hyperparameters
from tuner.space import Space


def extreme(space: Space, capacity: Capacity, *, costliest: bool) -> dict[str, Value]:
    """The point of `space` that costs least, or most.

    Found one parameter at a time, twice around: exact where the cheap and the dear values of each
    parameter are the same whatever the others are, which holds for the catalogue's models. What
    code by import path does not build is passed over.
    """
    sign = -1 if costliest else 1

    def is_built(name: str, value: Value) -> bool:
        return capacity.size(space.complete({**point, name: value})).refused is None

    def cost_with(name: str, value: Value) -> tuple[float, float]:
        over, cost = capacity.cost(space.complete({**point, name: value}))
        return sign * over, sign * cost

    point = space.defaults()
    for _ in range(2):
        for parameter in sized(space, capacity):
            values = [value for value in ends(parameter) if is_built(parameter.name, value)]
            if values:
                point[parameter.name] = min(values, key=partial(cost_with, parameter.name))
    return point


def sized(space: Space, capacity: Capacity) -> list[Hyperparameter]:
    """The searched parameters that may change what a configuration costs."""
    names = {*own_hyperparameters(capacity.model, capacity.shape), "batch_size", "optimizer"}
    names |= {*capacity.prepare}
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
