"""One parameter of a search space: how a spec writes it, which values it may take."""

import math
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Real, Value, When
from tuner.errors import Fault, SpecInvalid, nearest
from tuner.parameters_written import describe

_KEYS = {
    "float": ("float", "log", "step", "default", "when"),
    "int": ("int", "log", "step", "default", "when"),
    "choice": ("choice", "default", "when"),
    "ordered": ("ordered", "default", "when"),
    "fixed": ("fixed", "when"),
}
_FORMS = (
    "write {float: [low, high]}, {int: [low, high]}, {choice: [a, b]}, {ordered: [a, b]} or a "
    "plain value"
)


def is_single(parameter: Hyperparameter) -> bool:
    """Whether the parameter has one value only."""
    match parameter:
        case Fixed():
            return True
        case Choice():
            return len(parameter.choices) == 1
        case Real() | Integer():
            return parameter.low == parameter.high


def place_of(parameter: Choice, value: Value) -> int:
    """Where `value`, which is one of them, stands among the choices; types count."""
    return next(i for i, choice in enumerate(parameter.choices) if same(choice, value))


def contains(parameter: Hyperparameter, value: object) -> bool:
    """Whether `value` is one that `parameter` may take; types count (True is not 1)."""
    match parameter:
        case Fixed():
            return same(parameter.value, value)
        case Choice():
            return any(same(choice, value) for choice in parameter.choices)
        case Integer():
            return (
                isinstance(value, int)
                and not isinstance(value, bool)
                and parameter.low <= value <= parameter.high
                and (value - parameter.low) % parameter.step == 0
            )
        case Real():
            return _is_number(value) and _on_grid(parameter, float(value))  # type: ignore[arg-type]


def _on_grid(parameter: Real, value: float) -> bool:
    if not parameter.low <= value <= parameter.high:
        return False
    if parameter.step is None:
        return True
    steps = (value - parameter.low) / parameter.step
    return abs(steps - round(steps)) < 1e-8


def same(left: Value, right: object) -> bool:
    """Whether both are the same value of a parameter; types count (True is not 1)."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def _is_number(value: object) -> bool:
    # Whole numbers beyond the floats are none either, and isfinite() would raise.
    is_numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return is_numeric and abs(value) <= sys.float_info.max  # type: ignore[arg-type]


def parameter_from_json(document: Mapping[str, Any]) -> Hyperparameter:
    """The parameter that `parameter_to_json` wrote."""
    body = {k: v for k, v in document.items() if k not in ("name", "source")}
    return parse_parameter(document["name"], body, source=document.get("source", ""))


def parse_parameter(
    name: str,
    document: object,
    *,
    known: Hyperparameter | None = None,
    source: str = "",
) -> Hyperparameter:
    """The parameter a spec describes under ``/space/<name>``.

    `known` is the catalogue's parameter of this name: it lends its default where the new range
    holds it, and its conditions where the spec gives none.

    Raises:
        SpecInvalid: the description is not one, or describes no value at all.
    """
    if isinstance(document, str | int | float | bool):
        _refuse_unless(_is_value(document), name, "", document, "is not a finite number")
        return Fixed(name=name, value=document, when=known.when if known else (), source=source)
    if not isinstance(document, Mapping):
        raise _refused(name, "", "type", f"{name} = {document!r} is no parameter; {_FORMS}.")
    kind = _kind_of(name, document)
    when = _conditions(name, document["when"]) if "when" in document else None
    if when is None:
        when = known.when if known else ()
    if kind == "fixed":
        return Fixed(name=name, value=document["fixed"], when=when, source=source)
    if kind in ("choice", "ordered"):
        return _parse_choice(name, kind, document, known, when, source)
    return _parse_range(name, kind, document, known, when, source)


def _kind_of(name: str, document: Mapping[str, Any]) -> str:
    kinds = [kind for kind in _KEYS if kind in document]
    if len(kinds) != 1:
        found = " and ".join(kinds) if kinds else f"keys {sorted(map(str, document))}"
        raise _refused(name, "", "kind", f"{name} has {found}; {_FORMS}.")
    for key in document:
        if key not in _KEYS[kinds[0]]:
            detail = f"{name} has an unknown key {key!r}: {nearest(str(key), _KEYS[kinds[0]])}"
            raise _refused(name, f"/{key}", "unknown-key", detail)
    return kinds[0]


def _conditions(name: str, document: object) -> tuple[When, ...]:
    if not isinstance(document, Mapping) or not document:
        detail = f"{name}.when = {document!r} must be a mapping such as {{optimizer: sgd}}."
        raise _refused(name, "/when", "type", detail)
    conditions = []
    for parameter, values in document.items():
        listed = tuple(values) if isinstance(values, list | tuple) else (values,)
        _refuse_unless(
            bool(listed) and all(_is_value(v) for v in listed),
            name,
            f"/when/{parameter}",
            values,
            "must be a value or a list of values",
        )
        conditions.append(When(parameter=str(parameter), values=listed))
    return tuple(conditions)


def _parse_choice(
    name: str,
    kind: str,
    document: Mapping[str, Any],
    known: Hyperparameter | None,
    when: tuple[When, ...],
    source: str,
) -> Choice:
    choices = document[kind]
    _refuse_unless(
        isinstance(choices, list | tuple) and bool(choices) and all(_is_value(c) for c in choices),
        name,
        f"/{kind}",
        choices,
        "must be a list of at least one string, number or boolean",
    )
    doubled = [c for i, c in enumerate(choices) if any(same(c, d) for d in choices[:i])]
    _refuse_unless(not doubled, name, f"/{kind}", choices, "names a value twice")
    ordered = kind == "ordered"
    usual = choices[(len(choices) - 1) // 2 if ordered else 0]
    draft = Choice(
        name=name, choices=tuple(choices), default=usual, ordered=ordered, when=when, source=source
    )
    return replace(draft, default=_default_of(draft, document, known, usual))


def _parse_range(
    name: str,
    kind: str,
    document: Mapping[str, Any],
    known: Hyperparameter | None,
    when: tuple[When, ...],
    source: str,
) -> Real | Integer:
    low, high = _bounds(name, kind, document[kind])
    log = document.get("log", False)
    _refuse_unless(isinstance(log, bool), name, "/log", log, "must be true or false")
    step = document.get("step")
    _check_scale(name, low, log=log, step=step)
    if kind == "int":
        stride = 1 if step is None else step
        _refuse_unless(_is_int(stride), name, "/step", stride, "must be a whole number above 0")
        top = int(low) + (int(high) - int(low)) // stride * stride
        middle_int = _middle_int(int(low), top, stride, log=log)
        whole = Integer(
            name=name, low=int(low), high=top, default=middle_int, log=log, step=stride,
            when=when, source=source,
        )  # fmt: skip
        return replace(whole, default=_default_of(whole, document, known, middle_int))
    middle = math.sqrt(low * high) if log else (low + high) / 2
    if step is not None:
        middle = low + round((middle - low) / step) * step
    middle = min(max(middle, low), high)
    real = Real(
        name=name, low=float(low), high=float(high), default=middle, log=log,
        step=None if step is None else float(step), when=when, source=source,
    )  # fmt: skip
    return replace(real, default=_default_of(real, document, known, middle))


def _bounds(name: str, kind: str, bounds: object) -> tuple[float, float]:
    fitting = _is_int if kind == "int" else _is_number
    _refuse_unless(
        isinstance(bounds, list | tuple) and len(bounds) == 2 and all(map(fitting, bounds)),
        name,
        f"/{kind}",
        bounds,
        f"must be [low, high] with two {'whole' if kind == 'int' else 'finite'} numbers",
    )
    low: float = bounds[0]  # type: ignore[index]
    high: float = bounds[1]  # type: ignore[index]
    _refuse_unless(
        low <= high, name, f"/{kind}", bounds, "is inverted; put the smaller bound first"
    )
    return low, high


def _check_scale(name: str, low: float, *, log: bool, step: object) -> None:
    if log and low <= 0:
        detail = f"{name} has log: true and a lower bound of {low}; log needs a bound above 0."
        raise _refused(name, "/log", "log-bound", detail)
    if log and step is not None:
        raise _refused(name, "/step", "log-step", f"{name} has log and step; remove one of them.")
    if step is not None and not (_is_number(step) and step > 0):  # type: ignore[operator]
        raise _refused(name, "/step", "step", f"{name}.step = {step!r} must be a number above 0.")


def _middle_int(low: int, high: int, step: int, *, log: bool) -> int:
    middle = math.isqrt(low * high) if log else (low + high) // 2
    return min(max(low + (middle - low) // step * step, low), high)


def _default_of(
    draft: Hyperparameter,
    document: Mapping[str, Any],
    known: Hyperparameter | None,
    fallback: Value,
) -> Any:
    """The spec's default, else the catalogue's where `draft` holds it, else `fallback`."""
    if "default" in document:
        value = document["default"]
        fits = contains(draft, value)
        _refuse_unless(fits, draft.name, "/default", value, f"lies outside {describe(draft)}")
        return value
    return known.default if known is not None and contains(draft, known.default) else fallback


def _is_value(value: object) -> bool:
    return isinstance(value, str | bool) or _is_number(value)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refused(name: str, below: str, code: str, detail: str) -> SpecInvalid:
    return SpecInvalid([Fault(pointer=f"/space/{name}{below}", code=code, detail=detail)])


def _refuse_unless(fine: bool, name: str, below: str, value: object, complaint: str) -> None:
    if not fine:
        label = name + below.replace("/", ".")
        raise _refused(name, below, "value", f"{label} = {value!r} {complaint}.")
