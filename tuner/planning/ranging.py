"""Ranges that nobody knows: which of them a job's probe is to find, and the plan it leads to."""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real, Value
from models.importing import is_import_path
from tuner.errors import SpecInvalid
from tuner.parameters import contains, parse_parameter
from tuner.parameters_written import describe
from tuner.planning.extremes import ends
from tuner.planning.plan import Plan
from tuner.space import Space
from tuner.spec import JobSpec, TrainingSpec

#: Where a range comes from that a probe found.
SOURCES: Final[Mapping[str, str]] = {
    "lr": "found by the probe's range test: arXiv:1506.01186, section 3.3",
    "batch_size": "found by the probe: what fits into memory and learns from more rows a second",
}


def unknown_ranges(spec: JobSpec) -> tuple[str, ...]:
    """The hyperparameters whose range neither the catalogue knows nor `spec` says.

    Of a network of others they are learning rate and batch size, of an optimizer of others its
    learning rate; where the optimizer is searched, its rates have no range in common.
    """
    if not isinstance(spec, TrainingSpec):
        return ()
    own = is_import_path(spec.model)
    one_optimizer = isinstance(spec.space.get("optimizer", spec.optimizer), str)
    unknown = {
        "lr": one_optimizer and (own or is_import_path(spec.optimizer)),
        "batch_size": own,
    }
    return tuple(
        name for name, is_unknown in unknown.items() if is_unknown and name not in spec.space
    )


def range_notes(spec: JobSpec) -> list[str]:
    """What is yet to be found, in a sentence."""
    unknown = unknown_ranges(spec)
    if not unknown:
        return []
    return [f"Nobody knows a range for {' and '.join(unknown)}: the probe looks for it."]


def amended(plan: Plan, ranges: Mapping[str, Any], points: Sequence[Config] = ()) -> Plan:
    """The plan with the `ranges` that its job's probe found; a note says what became of each.

    A range takes in what `points`, wanted by people, have beyond it. Of trial 0 only what was found
    changes. What is no range is passed over: it comes from a process that runs code of others.
    """
    found: dict[str, Hyperparameter] = {}
    notes = []
    for parameter in plan.space.parameters:
        if parameter.name in ranges:
            new, note = _found(parameter, ranges[parameter.name], plan, points)
            notes.append(note)
            if new is not parameter:
                found[parameter.name] = new
    space = Space(tuple(found.get(p.name, p) for p in plan.space.parameters))
    others = {name: v for name, v in plan.default_config.items() if name not in found}
    return replace(
        plan,
        space=space,
        default_config=space.complete(others),
        memory_mb=_memory_mb(plan, space) if "batch_size" in found else plan.memory_mb,
        notes=(*plan.notes, *notes),
    )


def _found(
    known: Hyperparameter, found: object, plan: Plan, points: Iterable[Config]
) -> tuple[Hyperparameter, str]:
    """The parameter as it was found, or as it is known, and a note."""
    document = found if isinstance(found, Mapping) else {}
    name, possible = known.name, _possible(known.name, plan.data_shape.train_rows)
    try:
        parameter = parse_parameter(name, _wish(document), known=known, source=SOURCES[name])
    except SpecInvalid:
        parameter = known
    if parameter is known or not all(contains(possible, value) for value in ends(parameter)):
        reason = document.get("reason", "the probe found no range.")
        return known, f"{name} stays {describe(known)}: {reason}"
    parameter = _taking_in(parameter, [p[name] for p in points if name in p], possible)
    what = f"{describe(parameter)}, {parameter.default!r} in trial 0"
    return parameter, f"{name} is {what}: {SOURCES[name]}."


def _wish(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A range as a probe says it, as a spec does."""
    if "choices" in document:
        return {"choice": document["choices"], "default": document.get("default")}
    bounds = [document.get("low"), document.get("high")]
    return {"float": bounds, "log": document.get("log"), "default": document.get("default")}


def _memory_mb(plan: Plan, space: Space) -> float | None:
    """What the largest configuration takes at most: no part of it grows faster than the batch.

    The network itself is not looked at, which would be to import code of others.
    """
    if plan.memory_mb is None:
        return None
    before, after = (max(map(int, ends(s["batch_size"]))) for s in (plan.space, space))
    return plan.memory_mb * max(1.0, after / before)


def widened(space: Space, names: Collection[str], points: Sequence[Config], *, rows: int) -> Space:
    """`space` with these of its parameters taking in what `points` have beyond their ranges.

    Only values that are possible at all, of so many training rows.
    """
    return Space(
        tuple(
            _taking_in(
                p, [point[p.name] for point in points if p.name in point], _possible(p.name, rows)
            )
            if p.name in names
            else p
            for p in space.parameters
        )
    )


def _possible(name: str, rows: int) -> Hyperparameter:
    """All values that such a hyperparameter can have at all, of so many training rows."""
    if name == "batch_size":
        return Integer(name=name, low=1, high=rows, default=1)
    return Real(name=name, low=sys.float_info.min, high=sys.float_info.max, default=1.0)


def _taking_in(
    parameter: Hyperparameter, values: Iterable[Value], possible: Hyperparameter
) -> Hyperparameter:
    """The parameter with these values in its range, those that are possible; its default stays."""
    inside = [value for value in values if contains(possible, value)]
    match parameter:
        case Real():
            bounds = (parameter.low, parameter.high, *map(float, inside))
            return replace(parameter, low=min(bounds), high=max(bounds))
        case Choice():
            more = tuple(value for value in inside if not contains(parameter, value))
            return replace(parameter, choices=(*parameter.choices, *dict.fromkeys(more)))
        case _:
            return parameter
