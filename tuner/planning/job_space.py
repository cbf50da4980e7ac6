"""The space of a job: what its combination has to tune, and what the user says of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from models.catalog import Catalog, DataShape, LossEntry, ModelEntry, OptimizerEntry
from models.domains import refusal
from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Real, When
from models.importing import is_import_path
from models.training.balance_entry import BALANCE
from models.training.entry import training_hyperparameters
from tuner.errors import Fault, SpecInvalid, nearest
from tuner.parameters import contains, parse_parameter
from tuner.planning.extremes import ends
from tuner.space import Space, arranged


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """What a job trains, as the catalogue has it."""

    model: ModelEntry
    loss: LossEntry
    optimizer: OptimizerEntry
    #: Of the data, as the network of trial 0 sees it.
    shape: DataShape
    epochs: int
    #: The strengths of the job's augmentations.
    augmentations: tuple[Hyperparameter, ...] = ()
    #: The hyperparameters of what stands in front of the network.
    preparers: tuple[Hyperparameter, ...] = ()
    #: What is tuned of the data itself: its scaling, what is done against unequal classes.
    of_data: tuple[Hyperparameter, ...] = ()
    #: The import paths of its parts beside the model: what the space names beside the catalogue's,
    #: they may take.
    imported: tuple[str, ...] = ()


def job_space(combination: Combination, catalog: Catalog, wishes: Mapping[str, Any]) -> Space:
    """Every hyperparameter of `combination`, with `wishes` (a spec's ``space``) laid over.

    Where the wishes make the optimizer a choice, the parameters not all of them have depend on it.

    Raises:
        SpecInvalid: a wish is for no parameter of this job, or for values it cannot have.
    """
    chosen, optimizers = _chosen_optimizers(combination.optimizer, catalog, wishes)
    known = {h.name: h for h in _defaults(combination, optimizers)}
    own = _own_arguments(combination)
    parameters = dict(known)
    faults: list[Fault] = []
    for name, wish in wishes.items():
        if name == "optimizer":
            continue
        try:
            if name in known:
                shape = combination.shape
                parameters[name] = _wished(name, wish, known[name], shape, own=name in own)
            elif name in own:
                source = f"an argument of {combination.model.name}"
                parameters[name] = parse_parameter(name, wish, source=source)
            elif combination.imported and _may_be_argument(name):
                source = f"an argument of {' or '.join(combination.imported)}"
                parameters[name] = parse_parameter(name, wish, source=source)
            else:
                raise _unknown(
                    name, tuple({**known, **dict.fromkeys(own)}), catalog, combination.shape
                )
        except SpecInvalid as error:
            faults.extend(error.faults)
    if faults:
        raise SpecInvalid(faults)
    if not isinstance(chosen, Fixed) or _is_condition("optimizer", parameters.values()):
        parameters = {"optimizer": chosen, **parameters}
    return arranged(_without_the_unreachable(parameters, wishes))


def _chosen_optimizers(
    usual: OptimizerEntry, catalog: Catalog, wishes: Mapping[str, Any]
) -> tuple[Choice | Fixed, list[OptimizerEntry]]:
    """The parameter ``optimizer`` and the entries it chooses from, the default one first."""
    if "optimizer" not in wishes:
        return Fixed(name="optimizer", value=usual.name), [usual]
    names = tuple(catalog.optimizers)
    known = Choice(name="optimizer", choices=names, default=usual.name)
    chosen = parse_parameter("optimizer", wishes["optimizer"], known=known)
    if not isinstance(chosen, Choice | Fixed) or chosen.when:
        detail = "optimizer must always be one of some names; write {choice: [adamw, sgd]}."
        raise _refused("optimizer", "value", detail)
    values = chosen.choices if isinstance(chosen, Choice) else (chosen.value,)
    for value in values:
        if is_import_path(str(value)):
            detail = f"optimizer {value!r} is an import path; only names can be searched."
            raise _refused("optimizer", "unknown-optimizer", detail)
        if value not in names:
            detail = f"optimizer {value!r} is unknown: {nearest(str(value), names)}"
            raise _refused("optimizer", "unknown-optimizer", detail)
    if usual.name not in values:
        listed = ", ".join(map(str, values))
        detail = (
            f"The job's optimizer is {usual.name}, but space.optimizer has {listed}; "
            f"add {usual.name} to it, or name one of them as the job's optimizer."
        )
        raise _refused("optimizer", "contradiction", detail)
    if len(values) == 1:
        return Fixed(name="optimizer", value=usual.name), [usual]
    first = str(chosen.default)
    others = [str(value) for value in values if value != first]
    return chosen, [catalog.optimizers[name] for name in (first, *others)]


def _defaults(
    combination: Combination, optimizers: Sequence[OptimizerEntry]
) -> list[Hyperparameter]:
    shape = combination.shape
    return [
        *combination.model.hyperparameters(shape),
        *training_hyperparameters(shape, combination.epochs, clip_norm=combination.model.clip_norm),
        *_merged(optimizers),
        *combination.loss.hyperparameters,
        *combination.augmentations,
        *combination.preparers,
        *combination.of_data,
    ]


def _merged(optimizers: Sequence[OptimizerEntry]) -> list[Hyperparameter]:
    """The hyperparameters of all `optimizers`; the defaults are the first owner's."""
    owners: dict[str, list[tuple[str, Hyperparameter]]] = {}
    for optimizer in optimizers:
        for parameter in optimizer.hyperparameters:
            owners.setdefault(parameter.name, []).append((optimizer.name, parameter))
    merged = []
    for owned in owners.values():
        parameter = reduce(_united, (parameter for _, parameter in owned))
        if len(owned) < len(optimizers):
            condition = When(parameter="optimizer", values=tuple(name for name, _ in owned))
            parameter = replace(parameter, when=(condition, *parameter.when))
        merged.append(parameter)
    return merged


def _united(left: Hyperparameter, right: Hyperparameter) -> Hyperparameter:
    """`left` with `right`'s values as well."""
    if isinstance(left, Choice) and isinstance(right, Choice):
        more = tuple(c for c in right.choices if not contains(left, c))
        return replace(left, choices=left.choices + more)
    if isinstance(left, Real | Integer) and isinstance(right, Real | Integer):
        low: Any = min(left.low, right.low)
        high: Any = max(left.high, right.high)
        return replace(left, low=low, high=high, log=left.log and right.log)
    return left


def _own_arguments(combination: Combination) -> set[str]:
    """What a model by import path takes; of its values nobody else knows which are possible."""
    model, shape = combination.model, combination.shape
    if not is_import_path(model.name):
        return set()
    return {*_names(model.hyperparameters(shape)), *model.others(shape)}


def _wished(
    name: str, wish: object, known: Hyperparameter, shape: DataShape, *, own: bool
) -> Hyperparameter:
    parameter = parse_parameter(name, wish, known=known)
    for value in ends(parameter):
        complaint = None if own else refusal(name, value)
        if complaint is not None:
            raise _refused(name, "impossible-value", f"{name} = {value!r} {complaint}.")
        if name == "batch_size" and int(value) > shape.train_rows:
            detail = f"batch_size = {value} exceeds the {shape.train_rows:,} rows of training data."
            raise _refused(name, "impossible-value", detail)
    return parameter


def _is_condition(name: str, parameters: Iterable[Hyperparameter]) -> bool:
    return any(when.parameter == name for p in parameters for when in p.when)


def _without_the_unreachable(
    parameters: Mapping[str, Hyperparameter], wishes: Mapping[str, Any]
) -> list[Hyperparameter]:
    """Without the catalogue's parameters that no configuration has any more.

    A wish fixed what they depend on to another value; what the user wished for himself stays, so
    that the contradiction is named.
    """
    return [
        p
        for p in parameters.values()
        if p.name in wishes or all(_can_hold(when, parameters) for when in p.when)
    ]


def _can_hold(when: When, parameters: Mapping[str, Hyperparameter]) -> bool:
    return any(contains(parameters[when.parameter], value) for value in when.values)


def _may_be_argument(name: str) -> bool:
    """Whether a part by import path may have an argument of this name; a probe finds out."""
    return name.isidentifier() and name not in ("model", "data", "loss", BALANCE.name)


def _unknown(name: str, known: Sequence[str], catalog: Catalog, shape: DataShape) -> SpecInvalid:
    if name in ("model", "data", "loss"):
        return _refused(name, "fixed-part", f"{name} is not searched: a job has one {name}.")
    if name == BALANCE.name:
        detail = "balance is for examples that have a class each: leave it out."
        return _refused(name, "unknown-parameter", detail)
    if name in catalog.augmentations:
        detail = (
            f"{name!r} is the strength of an augmentation this job does not have: name it, as in "
            f"augment: [auto, {name}]."
        )
        return _refused(name, "unknown-parameter", detail)
    having = [e.name for e in catalog.preparers.values() if name in _names(e.hyperparameters)]
    if having:
        detail = (
            f"{name!r} is of a preparation this job does not have: name it, as in prepare: "
            f"[{having[0]}]."
        )
        return _refused(name, "unknown-parameter", detail)
    owners = _owners(name, catalog, shape)
    remedy = f"it belongs to {owners}." if owners else nearest(name, known)
    detail = f"{name!r} is no hyperparameter of this combination: {remedy}"
    return _refused(name, "unknown-parameter", detail)


def _owners(name: str, catalog: Catalog, shape: DataShape) -> str:
    """The models, optimizers and losses that have a hyperparameter of this name."""
    models = [entry for entry in catalog.models.values() if shape.kind in entry.kinds]
    having: dict[str, tuple[Hyperparameter, ...]] = {
        **{entry.name: entry.hyperparameters(shape) for entry in models},
        **{entry.name: entry.hyperparameters for entry in catalog.optimizers.values()},
        **{entry.name: entry.hyperparameters for entry in catalog.losses.values()},
    }
    return " and ".join(owner for owner, owned in having.items() if name in _names(owned))


def _names(hyperparameters: Iterable[Hyperparameter]) -> set[str]:
    return {hyperparameter.name for hyperparameter in hyperparameters}


def _refused(name: str, code: str, detail: str) -> SpecInvalid:
    return SpecInvalid([Fault(pointer=f"/space/{name}", code=code, detail=detail)])
