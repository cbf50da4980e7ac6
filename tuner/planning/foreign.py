"""Jobs whose training is foreign code: what is declared of them, checked as far as can be seen.

Nothing is imported and nothing is run here; a job's probe does that, in a worker.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from models.hyperparameters import Hyperparameter
from models.importing import path_complaint
from tuner.errors import Fault, SpecInvalid
from tuner.expressions.reading import Expression
from tuner.foreign.arguments import command_faults, command_notes
from tuner.parameters import parse_parameter
from tuner.planning.constraining import constraints_of, violations
from tuner.planning.judging import METRICS
from tuner.planning.plan import Plan
from tuner.planning.searching import search_faults
from tuner.space import Space, arranged
from tuner.spec import CommandSpec, JobSpec, ObjectiveSpec
from tuner.states import Direction


def resolve_objective(spec: ObjectiveSpec, allowed_code: tuple[str, ...]) -> Plan:
    """What `spec` asks for, in full.

    Raises:
        SpecInvalid: each fault names the field, the value and a remedy.
    """
    complaint = path_complaint("objective", spec.objective, allowed_code)
    faults = [] if complaint is None else [_fault("objective", "not-allowed", complaint)]
    notes = []
    if spec.defines_by_run:
        faults += _faults_without_space(spec)
        notes.append("The objective suggests its parameters itself, as each trial runs.")
    faults += _faults_of_several(spec)
    return _plan(spec, faults, notes, spec.metrics)


def resolve_command(spec: CommandSpec, *, allowed: bool) -> Plan:
    """What `spec` asks for, in full.

    Raises:
        SpecInvalid: each fault names the field, the value and a remedy.
    """
    faults = []
    if not allowed:
        detail = (
            f"command {spec.command[0]!r}: this server runs no commands; whoever runs it may set "
            "TUNER_ALLOW_COMMANDS=1."
        )
        faults.append(_fault("command", "not-allowed", detail))
    space, _ = _declared(spec.space)
    conditional = [parameter.name for parameter in space.parameters if parameter.when]
    for detail in command_faults(spec.command, list(spec.space), conditional):
        faults.append(_fault("command", "arguments", detail))
    direction = spec.direction or METRICS.get(spec.metric)
    if direction is None:
        detail = f"direction is missing: nobody knows which way {spec.metric!r} is better."
        faults.append(_fault("direction", "missing", detail))
    notes = command_notes(spec.command, list(spec.space))
    return _plan(spec, faults, notes, {spec.metric: direction or Direction.MINIMIZE})


def _faults_without_space(spec: ObjectiveSpec) -> list[Fault]:
    if spec.search.sampler not in ("grid", "brute_force"):
        return []
    detail = (
        f"search.sampler = {spec.search.sampler!r}: it wants to know all parameters beforehand, "
        "and this objective suggests them as it runs. Declare a space, or take another sampler."
    )
    return [_fault("search/sampler", "no-space", detail)]


def _faults_of_several(spec: ObjectiveSpec) -> list[Fault]:
    """What has no meaning where several values are sought at once."""
    if isinstance(spec.metric, str):
        return []
    faults = []
    if spec.direction is not None:
        detail = (
            f"direction = {str(spec.direction)!r}: each metric has one of its own; leave it out."
        )
        faults.append(_fault("direction", "several-metrics", detail))
    if len(spec.metric) > 1:
        budget = spec.budget
        for name, given in (("target", budget.target), ("patience", budget.patience)):
            if given is not None:
                detail = (
                    f"budget.{name} = {given}: of several metrics no trial is the best one; leave "
                    "it out."
                )
                faults.append(_fault(f"budget/{name}", "several-metrics", detail))
    return faults


def _plan(
    spec: JobSpec, faults: list[Fault], notes: list[str], metrics: Mapping[str, Direction]
) -> Plan:
    space, of_space = _declared(spec.space)
    epochs = None if isinstance(spec, ObjectiveSpec) else spec.budget.epochs
    faults = [*faults, *of_space, *search_faults(spec.search, space, epochs=epochs)]
    constraints: tuple[Expression, ...] = ()
    try:
        # Of a space that is none, its own faults are all there is to say.
        constraints = () if of_space else constraints_of(spec.constraints, space)
    except SpecInvalid as error:
        faults += error.faults
    faults += _start_faults(spec, space, constraints)
    if faults:
        raise SpecInvalid(faults)
    (metric, direction), *others = metrics.items()
    return Plan(
        space=space,
        default_config=space.defaults(),
        metric=metric,
        direction=direction,
        others=dict(others),
        constraints=constraints,
        seed=secrets.randbelow(2**31) if spec.search.seed is None else spec.search.seed,
        notes=tuple(notes),
    )


def _declared(wishes: Mapping[str, Any]) -> tuple[Space, list[Fault]]:
    parameters: list[Hyperparameter] = []
    faults: list[Fault] = []
    for name, wish in wishes.items():
        try:
            parameters.append(parse_parameter(name, wish, source="as declared"))
        except SpecInvalid as error:
            faults.extend(error.faults)
    if faults:
        return Space(()), faults
    try:
        return arranged(parameters), []
    except SpecInvalid as error:
        return Space(()), list(error.faults)


def _start_faults(spec: JobSpec, space: Space, constraints: Sequence[Expression]) -> list[Fault]:
    """Of start points; what an objective will suggest itself nobody knows yet."""
    if not space.parameters:
        return []
    faults: list[Fault] = []
    for index, point in enumerate(spec.start):
        pointer = f"/start/{index}"
        found = space.faults_of(point, pointer)
        faults += found or violations(constraints, space.complete(point), pointer)
    return faults


def _fault(where: str, code: str, detail: str) -> Fault:
    return Fault(pointer=f"/{where}", code=code, detail=detail)
