"""A proposal that cannot be carried out becomes the nearest one that can."""

from collections.abc import Callable, Iterator
from typing import Final

from models.hyperparameters import Choice, Config, Fixed, Hyperparameter, Integer, Real, Value
from tuner.parameters import place_of
from tuner.space import Space

Feasible = Callable[[Config], bool]

_EIGHTHS: Final = tuple(eighth / 8 for eighth in range(9))


def everything_feasible(config: Config) -> bool:
    """The null object: no configuration is refused."""
    return True


def pulled_to_feasible(
    space: Space, proposed: Config, default: Config, feasible: Feasible
) -> dict[str, Value]:
    """`proposed`, moved towards `default` just as far as it takes to become feasible.

    Numbers and ordered choices go first, all together in eighths of the way on each one's scale;
    then the other choices fall to their defaults one by one. Deterministic; at the latest it ends
    at `default`.
    """
    for candidate in _on_the_way(space, proposed, default):
        if feasible(candidate):
            return candidate
    return space.complete(default)


def _on_the_way(space: Space, proposed: Config, default: Config) -> Iterator[dict[str, Value]]:
    choices = [p.name for p in space.searched if isinstance(p, Choice) and not p.ordered]
    start = dict(proposed)
    for fallen in range(len(choices) + 1):
        for name in choices[:fallen]:
            start[name] = default.get(name, space[name].default)
        for share in _EIGHTHS:
            moved = {p.name: _moved(p, start, default, share) for p in space.parameters}
            yield space.complete(moved)


def _moved(parameter: Hyperparameter, start: Config, default: Config, share: float) -> Value:
    goal = default.get(parameter.name, parameter.default)
    here = start.get(parameter.name, goal)
    match parameter:
        case Fixed():
            return parameter.value
        case Choice(ordered=True):
            places = place_of(parameter, here), place_of(parameter, goal)
            return parameter.choices[round(_blend(*places, share, log=False))]
        case Choice():
            return here
        case Integer():
            return _between(parameter, int(here), int(goal), share)
        case Real():
            return _between_reals(parameter, float(here), float(goal), share)


def _between_reals(parameter: Real, here: float, goal: float, share: float) -> float:
    if share in (0, 1):
        return goal if share else here
    value = _blend(here, goal, share, log=parameter.log)
    if parameter.step is not None:
        value = parameter.low + round((value - parameter.low) / parameter.step) * parameter.step
    return min(max(value, parameter.low), parameter.high)


def _between(parameter: Integer, here: int, goal: int, share: float) -> int:
    steps = round((_blend(here, goal, share, log=parameter.log) - parameter.low) / parameter.step)
    return min(max(parameter.low + steps * parameter.step, parameter.low), parameter.high)


def _blend(here: float, goal: float, share: float, *, log: bool) -> float:
    if log:
        return float(here * (goal / here) ** share)
    return here + (goal - here) * share
