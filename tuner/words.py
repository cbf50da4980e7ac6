"""Values and ranges in words."""

from collections.abc import Mapping
from typing import Any


def number(value: object) -> str:
    """Four significant digits, where `value` is a float."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def searched(parameter: Mapping[str, Any]) -> str:
    """What of a hyperparameter is searched: ``0.001 to 1, log``."""
    bounds = parameter.get("int") or parameter.get("float")
    if bounds:
        text = f"{number(bounds[0])} to {number(bounds[1])}"
    elif choices := parameter.get("choice") or parameter.get("ordered"):
        text = " | ".join(map(number, choices)) + (", ordered" if "ordered" in parameter else "")
    else:
        text = "fixed"
    if parameter.get("log"):
        text += ", log"
    for name, values in (parameter.get("when") or {}).items():
        given = values if isinstance(values, list) else [values]
        text += f", if {name} is {' or '.join(map(str, given))}"
    return text
