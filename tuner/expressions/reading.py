"""From a text to a condition. Python's grammar reads it; nothing of it is ever executed."""

import ast
import math
import operator
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from models.hyperparameters import Config, Value
from tuner.expressions.values import (
    Node,
    NoValue,
    Relation,
    alike,
    among,
    compared,
    computed,
    fixed,
    in_order,
    joined,
    negated,
    number,
    truth,
)

MOST_CHARACTERS: Final = 500
#: Levels of one expression within another.
MOST_DEPTH: Final = 50

_OPERATORS: Final[Mapping[type[ast.AST], tuple[str, Callable[..., float]]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", math.pow),
}
_ORDERS: Final[Mapping[type[ast.AST], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
#: Of one number, but for `min` and `max`.
_FUNCTIONS: Final[Mapping[str, Callable[..., float]]] = {
    "abs": abs,
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}
_CONSTANTS: Final[Mapping[str, bool]] = {"true": True, "false": False}
#: A text in quotes, or a name in backquotes.
_QUOTED: Final = re.compile(r"""'[^']*'|"[^"]*"|`([^`]*)`""")
#: What Python still reads, with a warning.
_GLUED: Final = re.compile(r"\b\d[\w.]*?(and|else|for|if|in|is|or|not)\b")
_HELD: Final = "_in_backquotes_{}_"


class ExpressionRefused(ValueError):
    """The text is no condition; the message says why, and what to write."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition on configurations; equal to another of the same text."""

    text: str
    #: The parameters it names.
    names: frozenset[str] = field(compare=False)
    root: Node = field(compare=False, repr=False)

    def holds(self, config: Config) -> bool:
        """Whether `config` meets it, or lacks a parameter of it."""
        return self.complaint(config) is None

    def complaint(self, config: Config) -> str | None:
        """Why `config` does not meet it, with the values; None if it does."""
        if not self.names <= config.keys():
            return None
        try:
            if truth(self.root(config)):
                return None
            why = "does not hold"
        except NoValue as error:
            why = f"has no value ({error})"
        values = ", ".join(f"{name} = {config[name]!r}" for name in sorted(self.names))
        return f"{why} for {values}"


def parse_expression(text: str) -> Expression:
    """The condition that `text` is.

    Raises:
        ExpressionRefused: it is none.
    """
    if len(text) > MOST_CHARACTERS:
        raise ExpressionRefused(f"it is longer than {MOST_CHARACTERS} characters; make two of it")
    if "\\" in text:
        raise ExpressionRefused("a backslash means nothing here; leave it out")
    held: dict[str, str] = {}

    def hold(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        held[name := _HELD.format(len(held))] = match[1]
        return name

    if _GLUED.search(_QUOTED.sub("''", text)):
        raise ExpressionRefused("a number and a word stand together in it; put a space between")
    try:
        tree = ast.parse(_QUOTED.sub(hold, text.strip()), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionRefused(
            "it is no expression; write one such as lr * batch_size <= 0.5, and names that are no "
            "plain words in backquotes"
        ) from None
    reader = _Reader(held)
    try:
        root = reader.condition(tree.body, 0)
    except ExpressionRefused as error:
        raise ExpressionRefused(_with_backquotes(str(error), held)) from None
    if not reader.names:
        raise ExpressionRefused("it names no parameter")
    return Expression(text, frozenset(reader.names), root)


def _with_backquotes(message: str, held: Mapping[str, str]) -> str:
    for name, written in held.items():
        message = message.replace(name, f"`{written}`")
    return message


class _Reader:
    """Makes what works an expression out of Python's tree of it, part by part."""

    def __init__(self, held: Mapping[str, str]) -> None:
        self.names: set[str] = set()
        self._held = held

    def condition(self, node: ast.expr, depth: int) -> Node:
        """A part that must be true or false."""
        part = self._part(node, depth)
        if isinstance(node, ast.BinOp | ast.Call | ast.Constant) and not _is_truth(node):
            raise ExpressionRefused(
                f"{_source(node)} is neither true nor false; compare it with something"
            )
        return part

    def _part(self, node: ast.expr, depth: int) -> Node:
        if depth > MOST_DEPTH:
            raise ExpressionRefused(f"it is nested more than {MOST_DEPTH} deep; make two of it")
        depth += 1
        match node:
            case ast.Constant(value=value):
                return fixed(_constant(value, node))
            case ast.Name() | ast.Attribute():
                return self._name(node)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return negated(self.condition(operand, depth))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return computed("-", operator.neg, (self._part(operand, depth),))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return computed("+", operator.pos, (self._part(operand, depth),))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                operands = self._part(left, depth), self._part(right, depth)
                return computed(*_OPERATORS[type(op)], operands)
            case ast.BoolOp(op=op, values=values):
                parts = [self.condition(value, depth) for value in values]
                return joined(parts, every=isinstance(op, ast.And))
            case ast.Compare():
                return self._compared(node, depth)
            case ast.Call():
                return self._called(node, depth)
        raise ExpressionRefused(
            f"{_source(node)} has no meaning here; there are names, numbers, texts in quotes, "
            "+ - * / // % **, comparisons, in [...], and, or, not, " + ", ".join(_FUNCTIONS)
        )

    def _name(self, node: ast.Name | ast.Attribute) -> Node:
        # With a dot in it a name is a name as well: nothing is looked up in anything.
        words: list[str] = []
        part: ast.expr = node
        while isinstance(part, ast.Attribute):
            words.append(part.attr)
            part = part.value
        if not isinstance(part, ast.Name):
            raise ExpressionRefused(f"{_source(node)} is no name of a parameter")
        name = ".".join([part.id, *reversed(words)])
        if name in _CONSTANTS:
            return fixed(_CONSTANTS[name])
        name = self._held.get(name, name)
        self.names.add(name)
        return lambda config: config[name]

    def _compared(self, node: ast.Compare, depth: int) -> Node:
        first = self._part(node.left, depth)
        links: list[tuple[Relation, Node]] = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                if len(node.ops) > 1:
                    raise ExpressionRefused("`in` stands in no chain of comparisons; use `and`")
                values = _listed(right)
                links.append((among(values, inside=isinstance(op, ast.In)), fixed(False)))
            elif isinstance(op, ast.Is | ast.IsNot):
                raise ExpressionRefused("`is` means nothing here; write == or !=")
            else:
                relation = (
                    in_order(_ORDERS[type(op)])
                    if type(op) in _ORDERS
                    else alike(equal=isinstance(op, ast.Eq))
                )
                links.append((relation, self._part(right, depth)))
        return compared(first, links)

    def _called(self, node: ast.Call, depth: int) -> Node:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS or node.keywords:
            known = ", ".join(_FUNCTIONS)
            raise ExpressionRefused(f"{_source(node)} has no meaning here; there are {known}")
        many = name in ("min", "max")
        if len(node.args) < 2 if many else len(node.args) != 1:
            wanted = "two numbers or more" if many else "one number"
            raise ExpressionRefused(f"{_source(node)}: {name} takes {wanted}")
        return computed(name, _FUNCTIONS[name], [self._part(arg, depth) for arg in node.args])


def _source(node: ast.AST) -> str:
    try:
        text = ast.unparse(node)
    except RecursionError:
        text = "a part of it"
    return text if len(text) <= 60 else text[:59] + "…"


def _is_truth(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bool)


def _constant(value: object, node: ast.expr) -> Value:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float) and abs(value) <= sys.float_info.max:
        return value
    raise ExpressionRefused(f"{_source(node)} is no finite number, no text and no truth value")


def _listed(node: ast.expr) -> tuple[Value, ...]:
    """The values of a list that is written out."""
    if not isinstance(node, ast.List | ast.Tuple):
        raise ExpressionRefused(f"after `in` comes a list of values, not {_source(node)}")
    return tuple(_listed_value(item) for item in node.elts)


def _listed_value(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=value):
            return _constant(value, node)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -number(_constant(value, node))
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
    raise ExpressionRefused(f"{_source(node)} in a list is no plain value")
