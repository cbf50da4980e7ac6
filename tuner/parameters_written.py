"""A parameter as it is written: in words for people, and as the JSON of plans."""

from typing import Any

from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Real


def describe(parameter: Hyperparameter) -> str:
    """The values of a parameter in words: ``float in [0.1, 1] (log)``."""
    match parameter:
        case Fixed():
            return f"fixed at {parameter.value!r}"
        case Choice():
            order = " (ordered)" if parameter.ordered else ""
            return "one of " + ", ".join(repr(c) for c in parameter.choices) + order
        case Integer():
            step = f", step {parameter.step}" if parameter.step != 1 else ""
            return f"int in [{parameter.low}, {parameter.high}]" + step + _log_text(parameter)
        case Real():
            step = f", step {parameter.step:g}" if parameter.step else ""
            return f"float in [{parameter.low:g}, {parameter.high:g}]" + step + _log_text(parameter)


def _log_text(parameter: Real | Integer) -> str:
    return " (log)" if parameter.log else ""


def parameter_to_json(parameter: Hyperparameter) -> dict[str, Any]:
    """A parameter in the form the spec uses, with its name and source beside."""
    document: dict[str, Any] = {"name": parameter.name}
    match parameter:
        case Fixed():
            document["fixed"] = parameter.value
        case Choice():
            kind = "ordered" if parameter.ordered else "choice"
            document |= {kind: list(parameter.choices), "default": parameter.default}
        case Integer():
            document |= {"int": [parameter.low, parameter.high], "default": parameter.default}
            document |= {"log": True} if parameter.log else {}
            document |= {"step": parameter.step} if parameter.step != 1 else {}
        case Real():
            document |= {"float": [parameter.low, parameter.high], "default": parameter.default}
            document |= {"log": True} if parameter.log else {}
            document |= {"step": parameter.step} if parameter.step is not None else {}
    if parameter.when:
        document["when"] = {w.parameter: list(w.values) for w in parameter.when}
    if parameter.source:
        document["source"] = parameter.source
    return document
