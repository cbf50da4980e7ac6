"""What the parts of a condition are worth for a configuration.

Numbers are reckoned as floats, so that each step takes the same short time, however large they
grow.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from models.hyperparameters import Config, Value
from tuner.parameters import same

#: What a part is worth for a configuration; raises `NoValue`.
Node = Callable[[Config], Value]
Relation = Callable[[Value, Value], bool]


class NoValue(ArithmeticError):
    """The expression has no value for a configuration, such as 1 / 0."""


def fixed(value: Value) -> Node:
    """A value that is written out."""
    return lambda config: value


def computed(name: str, function: Callable[..., float], operands: Sequence[Node]) -> Node:
    """What `function` makes of numbers; `name` is how messages call it."""

    def compute(config: Config) -> float:
        numbers = [number(operand(config)) for operand in operands]
        try:
            value = function(*numbers)
        except (ArithmeticError, ValueError) as error:
            raise NoValue(f"{name} of {_words(numbers)}") from error
        if not math.isfinite(value):
            raise NoValue(f"{name} of {_words(numbers)}")
        return value

    return compute


def joined(parts: Sequence[Node], *, every: bool) -> Node:
    """`and` of all parts, or `or`; no more of them are looked at than it takes."""

    def join(config: Config) -> bool:
        for part in parts:
            if truth(part(config)) is not every:
                return not every
        return every

    return join


def negated(part: Node) -> Node:
    """`not`."""
    return lambda config: not truth(part(config))


def compared(first: Node, links: Sequence[tuple[Relation, Node]]) -> Node:
    """A chain of comparisons; each part is looked at once, and no more of them than it takes."""

    def compare(config: Config) -> bool:
        one = first(config)
        for relation, part in links:
            other = part(config)
            if not relation(one, other):
                return False
            one = other
        return True

    return compare


def in_order(order: Callable[[Any, Any], bool]) -> Relation:
    """`order` of two numbers, or of two texts."""

    def relation(one: Value, other: Value) -> bool:
        if isinstance(one, str) and isinstance(other, str):
            return order(one, other)
        return order(number(one), number(other))

    return relation


def alike(*, equal: bool) -> Relation:
    """Whether two are the same value, or are not; types count."""
    return lambda one, other: same(one, other) is equal


def among(values: Sequence[Value], *, inside: bool) -> Relation:
    """Whether the first is in a list, or is not."""
    return lambda one, _: any(same(value, one) for value in values) is inside


def number(value: Value) -> float:
    """`value` as the number that is reckoned with."""
    if isinstance(value, bool | str):
        raise NoValue(f"{value!r} is no number")
    try:
        return float(value)
    except OverflowError as error:
        raise NoValue("a number beyond all floats") from error


def truth(value: Value) -> bool:
    """`value`, if it is true or false."""
    if isinstance(value, bool):
        return value
    raise NoValue(f"{value!r} is neither true nor false")


def _words(numbers: Sequence[float]) -> str:
    return " and ".join(f"{number:g}" for number in numbers)
