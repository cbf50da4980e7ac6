"""What a W&B sweep says of one parameter, as a spec says it.

https://docs.wandb.ai/guides/sweeps/sweep-config-keys
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from tuner.conversion.draft import Unclear

#: Said of a parameter, and remarks on it.
Said = tuple[Any, list[str]]

_KNOWN: Final = frozenset(
    {"distribution", "value", "values", "probabilities", "min", "max", "mu", "sigma", "q", "a", "b"}
)
_RANGES: Final = frozenset({"int_uniform", "uniform", "q_uniform"})
#: Log-uniform in their values; the inverse of such a number is one as well.
_OF_VALUES: Final = frozenset(
    {"log_uniform_values", "inv_log_uniform_values", "q_log_uniform_values"}
)
#: Their bounds are exponents.
_OF_EXPONENTS: Final = frozenset({"log_uniform", "inv_log_uniform", "q_log_uniform"})
_NORMALS: Final = frozenset({"normal", "q_normal"})
_LOG_NORMALS: Final = frozenset({"log_normal", "q_log_normal"})
_BETAS: Final = frozenset({"beta", "q_beta"})


def converted(settings: Mapping[str, Any]) -> Said:
    """What a spec says of a parameter with these settings.

    Raises:
        Unclear: they say no values.
    """
    kind = str(settings.get("distribution") or _implied(settings))
    said, remarks = _said(kind, settings)
    strange = [key for key in settings if key not in _KNOWN]
    return said, [*remarks, *(f"{key} = {settings[key]!r} has no meaning here." for key in strange)]


def _implied(settings: Mapping[str, Any]) -> str:
    """The distribution where none is named."""
    if "value" in settings:
        return "constant"
    if "values" in settings:
        return "categorical"
    if "mu" in settings or "sigma" in settings:
        return "normal"
    bounds = settings.get("min"), settings.get("max")
    if None in bounds:
        raise Unclear(f"{dict(settings)!r} has neither values nor min and max")
    return "int_uniform" if all(type(bound) is int for bound in bounds) else "uniform"


def _said(kind: str, settings: Mapping[str, Any]) -> Said:
    if kind == "constant":
        return _constant(settings)
    if kind in ("categorical", "categorical_w_probabilities"):
        return _choice(settings)
    if kind in _RANGES:
        return _range(kind, settings)
    if kind in _OF_VALUES | _OF_EXPONENTS:
        return _log_range(kind, settings)
    if kind in _NORMALS | _LOG_NORMALS:
        return _normal(kind, settings)
    if kind in _BETAS:
        remark = f"{kind} has no meaning here: each number of the range is as likely as any other."
        return {"float": [0.0, 1.0]}, [remark]
    raise Unclear(f"distribution = {kind!r} is unknown")


def _constant(settings: Mapping[str, Any]) -> Said:
    value = settings.get("value")
    if not _is_scalar(value):
        raise Unclear(f"its value {value!r} is no text, number or truth value")
    return value, []


def _choice(settings: Mapping[str, Any]) -> Said:
    values = settings.get("values")
    if not isinstance(values, list):
        raise Unclear(f"values = {values!r} is no list")
    remarks = []
    kept: list[Any] = []
    for value in values:
        if not _is_scalar(value):
            remarks.append(f"The value {value!r} is no text, number or truth value: left out.")
        elif any(type(value) is type(other) and value == other for other in kept):
            remarks.append(f"The value {value!r} stands twice: once is enough.")
        else:
            kept.append(value)
    if "probabilities" in settings:
        remarks.append("probabilities have no meaning here: at first, each value is as likely.")
    if len(kept) == 1 and len(values) == 1:
        return kept[0], remarks
    return {"choice": kept}, remarks


def _range(kind: str, settings: Mapping[str, Any]) -> Said:
    low, high = _number(settings, "min"), _number(settings, "max")
    if kind == "int_uniform":
        return {"int": [_whole(low), _whole(high)]}, []
    if kind == "uniform":
        return {"float": [float(low), float(high)]}, []
    step = _step(settings)
    first, last = round(low / step) * step, round(high / step) * step
    if all(float(number).is_integer() for number in (first, last, step)):
        document: dict[str, Any] = {"int": [int(first), int(last)]}
        return document | ({"step": int(step)} if step != 1 else {}), []
    return {"float": [_short(first), _short(last)], "step": step}, []


def _log_range(kind: str, settings: Mapping[str, Any]) -> Said:
    low, high = _number(settings, "min"), _number(settings, "max")
    remarks = []
    if kind in _OF_EXPONENTS:
        if kind == "inv_log_uniform":
            low, high = -high, -low
        try:
            low, high = _short(math.exp(low)), _short(math.exp(high))
        except OverflowError as error:
            raise Unclear(f"e to the power of {high} is beyond all numbers") from error
        remarks.append(f"min and max of {kind} are exponents of e; here are the values.")
    if kind.startswith("q_"):
        step = _step(settings)
        if step == 1 and low >= 1:
            return {"int": [round(low), round(high)], "log": True}, remarks
        remarks.append(f"q = {step} has no meaning here: log goes without steps.")
    return {"float": [float(low), float(high)], "log": True}, remarks


def _normal(kind: str, settings: Mapping[str, Any]) -> Said:
    mu = _number(settings, "mu") if "mu" in settings else 0.0
    sigma = _number(settings, "sigma") if "sigma" in settings else 1.0
    low, middle, high = mu - 2 * sigma, mu, mu + 2 * sigma
    remarks = [f"{kind} has no meaning here: a range of two sigmas on either side of its middle."]
    if "q" in settings:
        remarks.append(f"q = {settings['q']} has no meaning in it.")
    if kind in _LOG_NORMALS:
        try:
            low, middle, high = map(math.exp, (low, middle, high))
        except OverflowError as error:
            raise Unclear(f"e to the power of {high} is beyond all numbers") from error
    document = {"float": [_short(low), _short(high)], "default": _short(middle)}
    return document | ({"log": True} if kind in _LOG_NORMALS else {}), remarks


def _number(settings: Mapping[str, Any], key: str) -> float:
    value = settings.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unclear(f"{key} = {value!r} is no number")
    if abs(value) > 1e300:
        raise Unclear(f"{key} = {value!r} is too large to mean anything")
    return value


def _step(settings: Mapping[str, Any]) -> float:
    step = _number(settings, "q") if "q" in settings else 1
    if step <= 0:
        raise Unclear(f"q = {step} is not above 0")
    return step


def _whole(number: float) -> int:
    if not float(number).is_integer():
        raise Unclear(f"{number} is no whole number")
    return int(number)


def _short(number: float) -> float:
    """Without the digits that came of reckoning."""
    return float(f"{number:.12g}")


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool | int | float | str)
