"""Optuna's distributions, as JSON has them, as the space of a spec."""

import json
from collections.abc import Mapping
from typing import Any, Final

from tuner.conversion.draft import Draft, Unclear

#: Those that Optuna had before version 3, and what they are now.
_OLD: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "UniformDistribution": ("FloatDistribution", {}),
    "LogUniformDistribution": ("FloatDistribution", {"log": True}),
    "DiscreteUniformDistribution": ("FloatDistribution", {}),
    "IntUniformDistribution": ("IntDistribution", {}),
    "IntLogUniformDistribution": ("IntDistribution", {"log": True}),
}
_KINDS: Final = {"FloatDistribution": "float", "IntDistribution": "int"}


def are_distributions(document: Mapping[str, Any]) -> bool:
    """Whether a file of this content is one of distributions by name."""
    return bool(document) and all(_read(value) is not None for value in document.values())


def from_distributions(document: Mapping[str, Any]) -> Draft:
    """The spec's space that they come to."""
    draft = Draft("Converted from distributions of Optuna.")
    draft.remarks.append(
        "To be complete, write objective: package.module:function, which is called with "
        "(config, trial); or a command, with its metric and direction."
    )
    draft.document["space"] = {}
    for name, value in document.items():
        try:
            said, remarks = _said(_read(value) or {})
        except Unclear as error:
            draft.leave_out(name, str(error))
        else:
            draft.add_parameter(name, said, remarks)
    return draft


def _read(value: object) -> Mapping[str, Any] | None:
    """The distribution that `value` is, or is the text of; None if it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    return value if isinstance(value.get("attributes"), Mapping) else None


def _said(distribution: Mapping[str, Any]) -> tuple[Any, list[str]]:
    name, more = _OLD.get(distribution["name"], (distribution["name"], {}))
    attributes = {**distribution["attributes"], **more}
    if name == "CategoricalDistribution":
        return _choice(attributes.get("choices"))
    if name not in _KINDS:
        raise Unclear(f"{name} is unknown")
    document: dict[str, Any] = {_KINDS[name]: [attributes.get("low"), attributes.get("high")]}
    step = attributes.get("step", attributes.get("q"))
    if attributes.get("log"):
        document["log"] = True
    elif step is not None and (name, step) != ("IntDistribution", 1):
        document["step"] = step
    return document, []


def _choice(choices: object) -> tuple[Any, list[str]]:
    if not isinstance(choices, list):
        raise Unclear(f"choices = {choices!r} is no list")
    strange = [c for c in choices if not isinstance(c, bool | int | float | str)]
    remarks = [f"The choice {c!r} is no text, number or truth value: left out." for c in strange]
    return {"choice": [c for c in choices if c not in strange]}, remarks
