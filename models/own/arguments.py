"""The arguments of a network's constructor, and what is searched of them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from models.hyperparameters import Choice, Hyperparameter, Range, Value
from models.own.filling import is_filled
from models.own.names import in_space
from models.own.ranges import real, whole, within

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of a constructor."""

    name: str
    required: bool
    #: None where it is required.
    default: Any
    #: What it takes, without ``Annotated`` and without None; `inspect.Parameter.empty` if unsaid.
    type: Any
    #: As its annotation has it.
    range: Range | None
    #: Whether the data gives it, by its name.
    filled: bool

    @property
    def in_space(self) -> str:
        """What a space calls it."""
        return in_space(self.name)

    @property
    def hyperparameter(self) -> Hyperparameter | None:
        """What is searched of it where a spec says nothing; None if it is left alone.

        Raises:
            ValueError: its annotation contradicts its default.
        """
        found = None if self.filled else self._found()
        return None if found is None else replace(found, name=self.in_space)

    def taken(self, value: Value) -> Any:
        """A configuration's value as the constructor takes it: of an enum the member of that name.

        Raises:
            ValueError: the enum has no such member.
        """
        if _is_enum(self.type):
            if value not in self.type.__members__:
                known = ", ".join(self.type.__members__)
                raise ValueError(f"{self.name} = {value!r} is none of {known}")
            return self.type[value]
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return value

    def _found(self) -> Hyperparameter | None:
        if self.range is not None:
            numbers = (self.range.low, self.range.high, self.default or 0)
            unsaid = self.type not in (int, float)
            of_whole = all(isinstance(n, int) for n in numbers) if unsaid else self.type is int
            return within(self.name, self.range, self.default, of_whole=of_whole)
        if self.default is None:
            return None
        kind = type(self.default) if self.type is inspect.Parameter.empty else self.type
        if get_origin(kind) is Literal:
            values = tuple(v for v in get_args(kind) if isinstance(v, Value))
            return _choice(self.name, values, self.default, "its annotation, Literal")
        if _is_enum(kind) and isinstance(self.default, kind):
            return _choice(self.name, tuple(kind.__members__), self.default.name, "its enum")
        if kind is bool:
            return _choice(self.name, (False, True), self.default, "both truth values")
        is_number = isinstance(self.default, int | float) and not isinstance(self.default, bool)
        if not is_number or kind not in (int, float):
            return None
        return (
            whole(self.name, self.default)
            if kind is int and isinstance(self.default, int)
            else real(self.name, float(self.default))
        )


def arguments_of(part: Callable[..., Any]) -> tuple[Argument, ...]:
    """The arguments that a class or a function takes by name, in their order.

    Raises:
        ValueError: it has one that cannot be given by name.
    """
    signature, hints = inspect.signature(part), _hints_of(part)
    parameters = list(signature.parameters.values())
    empty = inspect.Parameter.empty
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and parameter.default is empty:
            raise ValueError(f"its argument {parameter.name} cannot be given by name")
    named = [parameter for parameter in parameters if parameter.kind in _NAMED]
    required = frozenset(p.name for p in named if p.default is empty)
    found = []
    for parameter in named:
        kind, declared = _plain(hints.get(parameter.name, empty))
        is_required = parameter.name in required
        found.append(
            Argument(
                name=parameter.name,
                required=is_required,
                default=None if is_required else parameter.default,
                type=kind,
                range=declared,
                filled=declared is None
                and is_filled(parameter.name, required=is_required, names=required),
            )
        )
    return tuple(found)


def _hints_of(part: Callable[..., Any]) -> Mapping[str, Any]:
    function = part.__init__ if inspect.isclass(part) else part
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):
        # Names that are there for type checkers alone: what is not text is known all the same.
        annotations = getattr(function, "__annotations__", {})
        return {name: kind for name, kind in annotations.items() if not isinstance(kind, str)}


def _plain(annotation: Any) -> tuple[Any, Range | None]:
    """The type without ``Annotated`` and None, and the range that is annotated."""
    declared = None
    if get_origin(annotation) is Annotated:
        annotation, *extras = get_args(annotation)
        declared = next((extra for extra in extras if isinstance(extra, Range)), None)
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        if len(kinds) == 1:
            kind, within_it = _plain(kinds[0])
            return kind, declared or within_it
    return annotation, declared


def _is_enum(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Enum)


def _choice(name: str, values: tuple[Value, ...], default: Any, source: str) -> Choice | None:
    """None where the default is no value of a space."""
    if not any(type(v) is type(default) and v == default for v in values):
        return None
    return Choice(name=name, choices=values, default=default, source=source)
