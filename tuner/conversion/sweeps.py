"""A W&B sweep as a spec of a command.

https://docs.wandb.ai/guides/sweeps/sweep-config-keys
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tuner.conversion.draft import Draft, Unclear
from tuner.conversion.sweep_parameters import converted
from tuner.parameters import parse_parameter
from tuner.planning.finiteness import endless
from tuner.search.grid import Grid
from tuner.space import Space, arranged

#: W&B's own, without its /usr/bin/env.
_COMMAND: Final = ["${interpreter}", "${program}", "${args}"]
_MACRO: Final = re.compile(r"\$\{([^}]*)\}")
_METHODS: Final = {"bayes": "auto", "random": "random"}
#: W&B's own, where none is said.
_ETA: Final = 3
#: Steps of a trial, where none are said; see `Budget.epochs`.
_EPOCHS: Final = 20
_KNOWN: Final = frozenset(
    {
        *("program", "method", "metric", "parameters", "early_terminate", "command"),
        *("name", "project", "entity", "run_cap"),
    }
)


def from_sweep(sweep: Mapping[str, Any]) -> Draft:
    """The spec that a sweep's file comes to."""
    draft = Draft("Converted from a W&B sweep.")
    if isinstance(sweep.get("name"), str) and sweep["name"]:
        draft.document["name"] = sweep["name"][:200]
    labels = {key: str(sweep[key])[:200] for key in ("project", "entity") if sweep.get(key)}
    if labels:
        draft.document["labels"] = labels
    draft.document |= {"command": [], "metric": None, "direction": None, "space": {}}
    _add_parameters(draft, sweep.get("parameters"), "")
    _add_command(draft, sweep)
    _add_metric(draft, sweep.get("metric"))
    _add_search(draft, sweep)
    for key, value in sweep.items():
        if key not in _KNOWN:
            draft.remarks.append(f"{key} = {value!r} has no meaning here.")
    draft.document = {k: v for k, v in draft.document.items() if v not in (None, [])}
    return draft


def _add_parameters(draft: Draft, parameters: object, prefix: str) -> None:
    if not isinstance(parameters, Mapping):
        draft.remarks.append(
            f"parameters = {parameters!r} is no mapping: there is nothing to search."
        )
        return
    for name, settings in parameters.items():
        full = prefix + str(name)
        if isinstance(settings, Mapping) and "parameters" in settings:
            draft.remarks.append(
                f"{full} holds parameters of its own: their names are joined by dots here, and "
                "the program gets each as an argument of its own."
            )
            _add_parameters(draft, settings["parameters"], f"{full}.")
            continue
        try:
            if not isinstance(settings, Mapping):
                raise Unclear(f"{settings!r} is no mapping such as {{min: 0, max: 1}}")
            draft.add_parameter(full, *converted(settings))
        except Unclear as error:
            draft.leave_out(full, str(error))


def _add_command(draft: Draft, sweep: Mapping[str, Any]) -> None:
    command = sweep.get("command", _COMMAND)
    if not isinstance(command, list):
        command = str(command).split()
    if not isinstance(sweep.get("program"), str) and any("${program}" in str(c) for c in command):
        draft.remarks.append("No program is named: write a `command`, or an `objective`.")
        return
    program = str(sweep.get("program", ""))
    draft.document["command"] = [
        made for argument in command for made in _arguments(draft, str(argument), program)
    ]
    if any(_has_truth(said) for said in draft.space.values()):
        draft.remarks.append("Truth values are passed as true and false, not as True and False.")


def _has_truth(said: Any) -> bool:
    values = said.get("choice", ()) if isinstance(said, Mapping) else (said,)
    return any(isinstance(value, bool) for value in values)


def _arguments(draft: Draft, argument: str, program: str) -> Iterator[str]:
    """What stands for one argument of a sweep's command."""
    match argument:
        case "${env}":
            draft.remarks.append("${env} is left out: the program is found without it.")
        case "${args}" | "${args_no_boolean_flags}":
            if argument != "${args}":
                draft.remarks.append("Truth values are passed as any other, and not as bare flags.")
            yield from (f"--{name}={{{name}}}" for name in draft.space)
        case "${args_no_hyphens}":
            yield from (f"{name}={{{name}}}" for name in draft.space)
        case "${args_json}" | "${args_json_file}":
            draft.remarks.append(
                f"{argument} is left out: the program finds the configuration as JSON in the "
                "environment variable TUNER_PARAMS."
            )
        case _:
            yield _filled(draft, argument, program)


def _filled(draft: Draft, argument: str, program: str) -> str:
    known = {"interpreter": "python", "program": program}

    def put_in(found: re.Match[str]) -> str:
        if found[1] not in known:
            draft.remarks.append(f"{found[0]} has no meaning here, in {argument!r}: left out.")
        return _literal(known.get(found[1], ""))

    parts, end = [], 0
    for found in _MACRO.finditer(argument):
        parts += [_literal(argument[end : found.start()]), put_in(found)]
        end = found.end()
    return "".join([*parts, _literal(argument[end:])])


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _add_metric(draft: Draft, metric: object) -> None:
    found = metric if isinstance(metric, Mapping) else {}
    name, goal = found.get("name"), found.get("goal", "minimize")
    if not isinstance(name, str) or goal not in ("minimize", "maximize"):
        draft.remarks.append(f"metric = {metric!r} names none: write `metric` and `direction`.")
        return
    draft.document |= {"metric": name, "direction": goal}
    draft.remarks.append(
        f"The program reports {name} by tuner.report(step=…, …), in place of wandb.log."
    )
    if isinstance(target := found.get("target"), int | float) and not isinstance(target, bool):
        draft.document.setdefault("budget", {})["target"] = target
    for key in found:
        if key not in ("name", "goal", "target"):
            draft.remarks.append(f"metric.{key} = {found[key]!r} has no meaning here.")


def _add_search(draft: Draft, sweep: Mapping[str, Any]) -> None:
    budget = draft.document.pop("budget", {})
    search: dict[str, Any] = {"sampler": "auto"}
    method = sweep.get("method")
    if method == "grid":
        space = arranged([parse_parameter(n, said) for n, said in draft.space.items()])
        whole = endless(space) is None
        search["sampler"] = "brute_force" if whole else "grid"
        budget["trials"] = _grid_size(space, whole=whole)
    elif isinstance(method, str) and method in _METHODS:
        search["sampler"] = _METHODS[method]
    else:
        draft.remarks.append(f"method = {method!r} is unknown: the service's choice is taken.")
    _add_pruner(draft, search, budget, sweep.get("early_terminate"))
    cap = sweep.get("run_cap")
    if isinstance(cap, int) and not isinstance(cap, bool) and cap > 0:
        budget["trials"] = min(cap, 1_000_000)
    elif method != "grid":
        draft.remarks.append("A sweep without run_cap has no end; budget.trials is one here.")
        budget.setdefault("trials", 50)
    draft.document |= {"search": search, "budget": budget}


def _grid_size(space: Space, *, whole: bool) -> int:
    return min(Grid(space, seed=0, whole=whole).size, 1_000_000)


def _add_pruner(
    draft: Draft, search: dict[str, Any], budget: dict[str, Any], early: object
) -> None:
    if early is None:
        search["pruner"] = "none"
        return
    if not isinstance(early, Mapping) or early.get("type") != "hyperband":
        draft.remarks.append(f"early_terminate = {early!r} has no meaning here: asha is taken.")
        return
    eta = _least(early.get("eta"), 2) or _ETA
    longest, first = _least(early.get("max_iter"), 1), _least(early.get("min_iter"), 1)
    if first is None and longest is not None:
        brackets = _least(early.get("s"), 1) or 1
        first = max(1, longest // eta**brackets)
    first = first or 1
    search |= {"pruner": "asha", "pruner_options": {"min_resource": first, "reduction_factor": eta}}
    budget["epochs"] = longest or max(_EPOCHS, first * eta)
    if longest is None:
        draft.remarks.append("budget.epochs is a guess: write how many steps a trial reports.")
    taken = {"type", "min_iter", "max_iter", "eta", "s"}
    for key in early:
        if key not in taken or (key == "s" and "min_iter" in early):
            draft.remarks.append(f"early_terminate.{key} = {early[key]!r} has no meaning here.")


def _least(value: object, least: int) -> int | None:
    """`value` as a whole number of at least `least`; None if it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return max(least, round(value))
