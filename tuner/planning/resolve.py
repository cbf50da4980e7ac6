"""A spec made definite: everything that can be known of a job before anything is built.

Torch-free, and milliseconds: names, labels, ranges and sizes are checked with plain integers.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from models.catalog import Catalog, DataEntry, DataRefused, DataShape, LossEntry
from models.data.entry import PYTHON
from models.entries import catalog, loss_entry, model_entry, optimizer_entry
from models.hyperparameters import Config
from models.importing import PartRefused, is_import_path, path_complaint
from tuner.errors import Fault, SpecInvalid, nearest
from tuner.expressions.reading import Expression
from tuner.planning.augmenting import Augmenting, augmenting
from tuner.planning.balancing import Balancing, balance_faults, balancing
from tuner.planning.capacity import MIB, Capacity
from tuner.planning.constraining import constraints_of, violations
from tuner.planning.extremes import extreme
from tuner.planning.folding import fold_faults, fold_notes
from tuner.planning.imports import imported_parts, name_complaint
from tuner.planning.job_space import Combination, job_space
from tuner.planning.judging import check_known, judged_by
from tuner.planning.narrowing import largest, narrowed
from tuner.planning.own_model import default_faults, own_faults, own_notes
from tuner.planning.plan import ParameterRange, Plan
from tuner.planning.preparing import Preparing, preparing
from tuner.planning.ranging import range_notes, unknown_ranges, widened
from tuner.planning.scaling import scaling_wished
from tuner.planning.searching import search_faults
from tuner.planning.sizes_in_words import default_does_not_fit, start_does_not_fit
from tuner.space import Space
from tuner.spec import TrainingSpec

__all__ = ["Plan", "resolve"]


def resolve(spec: TrainingSpec, roots: tuple[str, ...], allowed_code: tuple[str, ...] = ()) -> Plan:
    """What `spec` asks for, in full; `roots` are the folders its data may lie below.

    `allowed_code` are the modules from which parts may be named by import path.

    A seed is drawn where the spec has none, so two plans of one spec differ in it.

    Raises:
        SpecInvalid: it cannot be carried out; each fault names the field, the value and a remedy.
    """
    entries = catalog()
    check_names(spec, allowed_code)
    loss = loss_entry(spec.loss)
    check_known(spec.metric)
    data = entries.data[spec.data_source.name]
    shape, explained = _inspected(spec, data, roots)
    _refuse([*_model_faults(spec, entries, shape), *_label_faults(loss, shape, data)])
    metric, direction, notes = judged_by(spec, loss, shape)
    augmentations = augmenting(spec, entries, loss, shape, allowed_code)
    prepares = preparing(spec, entries, shape, allowed_code)
    balances = balancing(spec, loss, shape, metric)
    combination = _combination(spec, entries, augmentations, prepares, balances)
    space = job_space(combination, entries, spec.space)
    space = widened(space, unknown_ranges(spec), spec.start, rows=shape.train_rows)
    _refuse([*balance_faults(space.parameters, loss), *fold_faults(space, shape)])
    space, capacity, cuts = _within_capacity(spec, space, shape)
    if not space.searched:
        notes.append("Nothing is left to search: every trial has the same configuration.")
    costliest = largest(space, capacity)
    return Plan(
        space=space,
        default_config=space.defaults(),
        metric=metric,
        direction=direction,
        seed=secrets.randbelow(2**31) if spec.search.seed is None else spec.search.seed,
        capacity=capacity,
        constraints=_constraints(spec, space, capacity),
        parameters=_parameters_of(space, capacity, costliest),
        memory_mb=capacity.memory_mb(costliest),
        notes=(
            *notes,
            *cuts,
            *augmentations.notes,
            *prepares.notes,
            *balances.notes,
            *fold_notes(space, shape),
            *range_notes(spec),
            *explained,
        ),
    )


def _combination(
    spec: TrainingSpec,
    entries: Catalog,
    augmentations: Augmenting,
    prepares: Preparing,
    balances: Balancing,
) -> Combination:
    data = entries.data[spec.data_source.name]
    return Combination(
        model=model_entry(spec.model),
        loss=loss_entry(spec.loss),
        optimizer=optimizer_entry(spec.optimizer),
        shape=prepares.shape,
        epochs=spec.budget.epochs,
        augmentations=augmentations.strengths,
        preparers=prepares.parameters,
        of_data=(*scaling_wished(spec, data), *balances.parameters),
        imported=imported_parts(spec),
    )


def _parameters_of(space: Space, capacity: Capacity, costliest: Config) -> ParameterRange:
    smallest = space.complete(extreme(space, capacity, costliest=False))
    return ParameterRange(
        smallest=capacity.size(smallest).parameters,
        default=capacity.size(space.defaults()).parameters,
        largest=capacity.size(costliest).parameters,
    )


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise SpecInvalid(faults)


def check_names(spec: TrainingSpec, allowed_code: tuple[str, ...]) -> None:
    """Refuse names of model, data, loss and optimizer that are unknown, or may not be imported.

    Raises:
        SpecInvalid: with a fault for each.
    """
    entries, source = catalog(), spec.data_source
    wanted: list[tuple[str, str, Mapping[str, Any]]] = [
        ("model", spec.model, entries.models),
        ("data", source.name, entries.data),
        ("loss", spec.loss, entries.losses),
        ("optimizer", spec.optimizer, entries.optimizers),
    ]
    complaints = [
        (part, name_complaint(part, name, tuple(known), allowed_code))
        for part, name, known in wanted
    ]
    if source.name == PYTHON.name:
        complaints.append(("data", path_complaint("data", str(source.path), allowed_code)))
    _refuse(
        [
            Fault(pointer=f"/{part}", code=f"unknown-{part}", detail=complaint)
            for part, complaint in complaints
            if complaint is not None
        ]
    )


def _inspected(
    spec: TrainingSpec, data: DataEntry, roots: tuple[str, ...]
) -> tuple[DataShape, tuple[str, ...]]:
    """The shape of the data, and in sentences what was made of it."""
    _refuse(_unknown_options(spec, data))
    try:
        source = spec.data_source
        return data.inspect(source, roots), data.explain(source, roots)
    except (DataRefused, PartRefused, OSError, ValueError) as error:
        # A path may hold what no file system takes: the last two are the user's as well.
        fault = Fault(pointer="/data", code="data-refused", detail=f"data {spec.data!r}: {error}")
        raise SpecInvalid([fault]) from error


def _unknown_options(spec: TrainingSpec, data: DataEntry) -> list[Fault]:
    return [
        Fault(
            pointer=f"/data/{name}",
            code="unknown-option",
            detail=f"data {data.name} takes no {name!r}: "
            + (nearest(name, data.options) if data.options else "leave it out."),
        )
        for name in spec.data_source.options
        if name not in data.options and not data.takes_any
    ]


def _model_faults(spec: TrainingSpec, entries: Catalog, shape: DataShape) -> list[Fault]:
    model = model_entry(spec.model)
    if is_import_path(spec.model):
        return own_faults(spec, model, shape)
    if shape.kind in model.kinds:
        return []
    kinds = " or ".join(model.kinds)
    fitting = " or ".join(n for n, entry in entries.models.items() if shape.kind in entry.kinds)
    detail = f"model {model.name!r} is for data of kind {kinds}, not {shape.kind}: use {fitting}."
    return [Fault(pointer="/model", code="data-kind", detail=detail)]


def _label_faults(loss: LossEntry, shape: DataShape, data: DataEntry) -> list[Fault]:
    complaint = loss.refuses(shape)
    if complaint is None:
        return []
    if loss.takes == "classes" and not shape.classes and "task" in data.options:
        complaint += " If each of its values is a class, add task: classes to the data."
    return [Fault(pointer="/loss", code="labels", detail=f"loss {loss.name}: {complaint}")]


def _within_capacity(
    spec: TrainingSpec, space: Space, shape: DataShape
) -> tuple[Space, Capacity, list[str]]:
    """The space that can exist, what it stays within, and what was left out."""
    possible = Capacity(
        model=spec.model,
        optimizer=spec.optimizer,
        shape=shape,
        max_parameters=spec.limits.max_parameters,
        prepare=tuple(spec.prepare_names),
    )
    _refuse(default_faults(space, possible))
    space, notes = narrowed(space, possible)
    notes += own_notes(space, possible)
    if spec.resources.memory_gb is None:
        return space, possible, notes
    limit_mb = spec.resources.memory_gb * 2**30 / MIB
    affordable = replace(possible, memory_limit_mb=limit_mb)
    if not affordable.fits(space.defaults()):
        raise SpecInvalid([default_does_not_fit(affordable, space.defaults())])
    space, more = narrowed(space, affordable)
    return space, affordable, [*notes, *more]


def _constraints(spec: TrainingSpec, space: Space, capacity: Capacity) -> tuple[Expression, ...]:
    """What the job's configurations must meet; its start points do."""
    _refuse(search_faults(spec.search, space, epochs=spec.budget.epochs))
    constraints = constraints_of(spec.constraints, space, unknown=unknown_ranges(spec))
    _refuse(_start_faults(spec, space, capacity, constraints))
    return constraints


def _start_faults(
    spec: TrainingSpec, space: Space, capacity: Capacity, constraints: Sequence[Expression]
) -> list[Fault]:
    faults: list[Fault] = []
    for index, point in enumerate(spec.start):
        pointer = f"/start/{index}"
        found = space.faults_of(point, pointer)
        if not found:
            config = space.complete(point)
            found = violations(constraints, config, pointer)
            if capacity.misfit(config) is not None:
                found.append(start_does_not_fit(capacity, config, pointer))
        faults += found
    return faults
