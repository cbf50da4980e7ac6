"""Cutting off the part of a space that cannot exist, and saying which part that was."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from models.hyperparameters import Choice, Config, Fixed, Hyperparameter, Integer, Real, Value
from tuner.errors import SpecInvalid
from tuner.planning.capacity import Capacity
from tuner.planning.extremes import ends, extreme, sized
from tuner.planning.feasibility import pulled_to_feasible
from tuner.planning.sizes_in_words import combinations_note, cut_note, moved_note, nothing_fits
from tuner.space import Space

#: Values of a real range that are told apart.
_FINENESS: Final = 2**20


def narrowed(space: Space, capacity: Capacity) -> tuple[Space, list[str]]:
    """`space` without the values that no configuration can have, and a note for each cut.

    A value is cut off if nothing fits with it, however cheap all else is. Combinations that do
    not fit remain; `Capacity.fits` tells them when they come up. The default configuration fits.

    Raises:
        SpecInvalid: not even the cheapest configuration fits; the message names its layer.
    """
    costliest = space.complete(extreme(space, capacity, costliest=True))
    if capacity.fits(costliest) and capacity.fits(space.defaults()):
        return space, []
    cheapest = extreme(space, capacity, costliest=False)
    if not capacity.fits(space.complete(cheapest)):
        raise SpecInvalid([nothing_fits(capacity, space.complete(cheapest))])

    def fits_with(name: str, value: Value) -> bool:
        return capacity.fits(space.complete({**cheapest, name: value}))

    pairs = [(p, _cut(p, partial(fits_with, p.name))) for p in space.parameters]
    notes = [cut_note(old, new, capacity) for old, new in pairs if new is not old]
    space, moved = _with_fitting_default(Space(tuple(new for _, new in pairs)), capacity, cheapest)
    if not capacity.fits(space.complete(extreme(space, capacity, costliest=True))):
        notes.append(combinations_note(capacity))
    return space, [*notes, *moved]


def largest(space: Space, capacity: Capacity) -> dict[str, Value]:
    """The costliest configuration that fits, found one parameter at a time from the default on."""

    def point_with(name: str, value: Value) -> dict[str, Value]:
        return space.complete({**point, name: value})

    def fits_with(name: str, value: Value) -> bool:
        return capacity.fits(point_with(name, value))

    point = space.defaults()
    for parameter in sized(space, capacity):
        fitting = _cut(parameter, partial(fits_with, parameter.name))
        points = [point_with(parameter.name, value) for value in ends(fitting)]
        point = max([point, *filter(capacity.fits, points)], key=capacity.cost)
    return point


def _cut(parameter: Hyperparameter, fits: Callable[[Value], bool]) -> Hyperparameter:
    """`parameter` without the values that do not fit; itself if all do."""
    match parameter:
        case Fixed():
            return parameter
        case Choice():
            fitting = tuple(value for value in parameter.choices if fits(value))
            if len(fitting) == len(parameter.choices):
                return parameter
            default = parameter.default if fits(parameter.default) else fitting[0]
            return replace(parameter, choices=fitting, default=default)
        case Integer() | Real():
            return _cut_range(parameter, fits)


def _cut_range(parameter: Integer | Real, fits: Callable[[Value], bool]) -> Integer | Real:
    low_fits, high_fits = fits(parameter.low), fits(parameter.high)
    if low_fits == high_fits:
        return parameter
    last = _last_step(parameter)
    inside, outside = (0, last) if low_fits else (last, 0)
    while abs(inside - outside) > 1:
        middle = (inside + outside) // 2
        if fits(_at_step(parameter, middle)):
            inside = middle
        else:
            outside = middle
    edge: Any = _at_step(parameter, inside)
    if low_fits:
        return replace(parameter, high=edge, default=min(parameter.default, edge))
    return replace(parameter, low=edge, default=max(parameter.default, edge))


def _at_step(parameter: Integer | Real, step: int) -> Value:
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


def _last_step(parameter: Integer | Real) -> int:
    """The step of the high end."""
    if isinstance(parameter, Integer):
        return (parameter.high - parameter.low) // parameter.step
    if parameter.step is not None:
        # Down to the last one below: the high end need not be a step itself.
        return int((parameter.high - parameter.low) / parameter.step + 1e-8)
    return _FINENESS


def _with_fitting_default(
    space: Space, capacity: Capacity, cheapest: Config
) -> tuple[Space, list[str]]:
    """`space` with its default moved towards the cheapest point until it fits, and a note."""
    default = space.defaults()
    if capacity.fits(default):
        return space, []
    fitting = pulled_to_feasible(space, default, cheapest, capacity.fits)
    changed: dict[str, Any] = {
        name: value for name, value in fitting.items() if default.get(name) != value
    }
    parameters = [
        replace(p, default=changed[p.name]) if p.name in changed and not isinstance(p, Fixed) else p
        for p in space.parameters
    ]
    return Space(tuple(parameters)), [moved_note(changed, capacity)]
