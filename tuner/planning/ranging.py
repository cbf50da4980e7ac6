"""Ranges that nobody knows: which of them a job's probe is to find, and the plan it leads to."""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real, Value
from models.importing import is_import_path
from tuner.errors import SpecInvalid
from tuner.parameters import contains, describe
from tuner.planning.job_space import wished
from tuner.planning.narrowing import largest, narrowed
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
    assert plan.capacity is not None
    found: dict[str, Hyperparameter] = {}
    notes = []
    for parameter in plan.space.parameters:
        if parameter.name in ranges:
            new, note = _found(parameter, ranges[parameter.name], plan, points)
            notes.append(note)
            if new is not parameter:
                found[parameter.name] = new
    space = Space(tuple(found.get(p.name, p) for p in plan.space.parameters))
    space, cuts = narrowed(space, plan.capacity)
    others = {name: v for name, v in plan.default_config.items() if name not in found}
    return replace(
        plan,
        space=space,
        default_config=space.complete(others),
        memory_mb=plan.capacity.memory_mb(largest(space, plan.capacity)),
        notes=(*plan.notes, *notes, *cuts),
    )


def _found(
    known: Hyperparameter, found: object, plan: Plan, points: Iterable[Config]
) -> tuple[Hyperparameter, str]:
    """The parameter as it was found, or as it is known, and a note."""
    document = found if isinstance(found, Mapping) else {}
    name, rows = known.name, plan.data_shape.train_rows
    try:
        parameter = wished(name, _wish(document), known, plan.data_shape)
    except SpecInvalid:
        reason = document.get("reason", "the probe found no range.")
        return known, f"{name} stays {describe(known)}: {reason}"
    parameter = replace(parameter, source=SOURCES[name])
    parameter = _taking_in(parameter, [p[name] for p in points if name in p], rows)
    what = f"{describe(parameter)}, {parameter.default!r} in trial 0"
    return parameter, f"{name} is {what}: {SOURCES[name]}."


def _wish(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A range as a probe says it, as a spec does."""
    if "choices" in document:
        return {"choice": document["choices"], "default": document.get("default")}
    bounds = [document.get("low"), document.get("high")]
    return {"float": bounds, "log": document.get("log"), "default": document.get("default")}


def widened(space: Space, names: Collection[str], points: Sequence[Config], *, rows: int) -> Space:
    """`space` with these of its parameters taking in what `points` have beyond their ranges.

    Only values that are possible at all, of so many training rows.
    """
    return Space(
        tuple(
            _taking_in(p, [point[p.name] for point in points if p.name in point], rows)
            if p.name in names
            else p
            for p in space.parameters
        )
    )


def _taking_in(parameter: Hyperparameter, values: Iterable[Value], rows: int) -> Hyperparameter:
    """The parameter with these values in its range; with all others it keeps its default."""
    match parameter:
        case Real(name=name):
            possible = Real(name=name, low=sys.float_info.min, high=sys.float_info.max, default=1.0)
            inside = [float(v) for v in values if contains(possible, v)]
            ends = (parameter.low, parameter.high, *inside)
            return replace(parameter, low=min(ends), high=max(ends))
        case Choice(name=name):
            size = Integer(name=name, low=1, high=rows, default=1)
            more = {v for v in values if contains(size, v)} - {*parameter.choices}
            return replace(parameter, choices=tuple(sorted({*parameter.choices, *more})))
        case _:
            return parameter
