"""The search space: the parameters of a job, in the order in which they are decided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models.hyperparameters import Config, Fixed, Hyperparameter, Value, When
from tuner.errors import Fault, SpecInvalid, nearest
from tuner.parameters import contains, is_single, parameter_from_json
from tuner.parameters_written import describe, parameter_to_json


@dataclass(frozen=True, slots=True)
class Space:
    """Parameters sorted so that a condition's parameter stands before those it rules."""

    parameters: tuple[Hyperparameter, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of decision."""
        return tuple(p.name for p in self.parameters)

    @property
    def searched(self) -> tuple[Hyperparameter, ...]:
        """The parameters that have more than one value."""
        return tuple(p for p in self.parameters if not is_single(p))

    def __getitem__(self, name: str) -> Hyperparameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    def defaults(self) -> dict[str, Value]:
        """The default configuration: trial 0."""
        return self.complete({})

    def complete(self, point: Config) -> dict[str, Value]:
        """The configuration of `point`: defaults where it is silent, nothing inactive."""
        config: dict[str, Value] = {}
        for parameter in self.parameters:
            if is_active(parameter, config):
                config[parameter.name] = (
                    parameter.value
                    if isinstance(parameter, Fixed)
                    else point.get(parameter.name, parameter.default)
                )
        return config

    def faults_of(self, point: Config, pointer: str) -> list[Fault]:
        """What keeps `point` from being a (partial) configuration of this space."""
        faults = []
        complete = self.complete(point)
        for name, value in point.items():
            where = f"{pointer}/{name}"
            if name not in self.names:
                detail = f"{name!r} is no parameter of this job: {nearest(name, self.names)}"
                faults.append(Fault(pointer=where, code="unknown-parameter", detail=detail))
            elif not contains(self[name], value):
                detail = f"{name} = {value!r} lies outside {describe(self[name])}."
                faults.append(Fault(pointer=where, code="outside-space", detail=detail))
            elif name not in complete:
                conditions = " and ".join(_condition_text(w) for w in self[name].when)
                detail = f"{name} = {value!r} has no effect here: it counts only when {conditions}."
                faults.append(Fault(pointer=where, code="inactive-parameter", detail=detail))
        return faults

    def to_json(self) -> list[dict[str, Any]]:
        """The space as plain JSON, in order."""
        return [parameter_to_json(p) for p in self.parameters]

    @classmethod
    def from_json(cls, documents: Iterable[Mapping[str, Any]]) -> "Space":
        """The space `to_json` wrote."""
        return cls(tuple(parameter_from_json(d) for d in documents))


def arranged(parameters: Iterable[Hyperparameter], pointer: str = "/space") -> Space:
    """A space of these parameters.

    Raises:
        SpecInvalid: a condition names an absent parameter or a value it never has, or conditions
            go in a circle.
    """
    waiting = {p.name: p for p in parameters}
    known = dict(waiting)
    _check_conditions(known, pointer)
    placed: dict[str, Hyperparameter] = {}
    while waiting:
        ready = [p for p in waiting.values() if all(w.parameter in placed for w in p.when)]
        if not ready:
            circle = ", ".join(sorted(waiting))
            detail = f"The conditions of {circle} go in a circle; remove one `when`."
            raise SpecInvalid(
                [Fault(pointer=f"{pointer}/{min(waiting)}/when", code="circular", detail=detail)]
            )
        for parameter in ready:
            placed[parameter.name] = waiting.pop(parameter.name)
    return Space(tuple(placed.values()))


def _check_conditions(known: Mapping[str, Hyperparameter], pointer: str) -> None:
    faults = []
    for parameter in known.values():
        for when in parameter.when:
            where = f"{pointer}/{parameter.name}/when/{when.parameter}"
            if when.parameter not in known:
                detail = (
                    f"{parameter.name} depends on {when.parameter!r}, which is no parameter "
                    f"of this job: {nearest(when.parameter, tuple(known))}"
                )
                faults.append(Fault(pointer=where, code="unknown-condition", detail=detail))
            elif not any(contains(known[when.parameter], v) for v in when.values):
                detail = (
                    f"{parameter.name} depends on {_condition_text(when)}, "
                    f"which never holds: it is {describe(known[when.parameter])}."
                )
                faults.append(Fault(pointer=where, code="impossible-condition", detail=detail))
    if faults:
        raise SpecInvalid(faults)


def is_active(parameter: Hyperparameter, config: Config) -> bool:
    """Whether all conditions of `parameter` hold in `config`."""
    return all(when.holds(config) for when in parameter.when)


def _condition_text(when: When) -> str:
    return f"{when.parameter} is " + " or ".join(repr(v) for v in when.values)
