"""A spec that is being made of another tool's file, and how it is written."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tuner.errors import SpecInvalid
from tuner.parameters import parse_parameter

WIDTH: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
#: Words that YAML takes for something else than text.
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class Unclear(ValueError):
    """A part of the file says nothing that can be written here; the message says why."""


@dataclass(slots=True)
class Draft:
    """The keys of a spec in their order, and remarks on what is another thing here, or nothing."""

    title: str
    document: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    of_parameters: dict[str, list[str]] = field(default_factory=dict)

    @property
    def space(self) -> dict[str, Any]:
        """What is said of each parameter so far."""
        space: dict[str, Any] = self.document.setdefault("space", {})
        return space

    def add_parameter(self, name: str, said: Any, remarks: Sequence[str]) -> None:
        """Take up a parameter, if it is one that a spec may have."""
        self.of_parameters[name] = list(remarks)
        if set(name) & set("{}"):
            self.leave_out(name, "a name has no braces here; rename it")
            return
        try:
            parse_parameter(name, said)
        except SpecInvalid as error:
            self.leave_out(name, str(error))
        else:
            self.space[name] = said

    def leave_out(self, name: str, why: str) -> None:
        """Say of a parameter that it is missing, and why."""
        self.of_parameters.setdefault(name, []).append(f"{name} is left out: {why.rstrip('.')}.")


def as_yaml(draft: Draft) -> str:
    """The draft as YAML, with a comment for each remark."""
    lines = [*_comment(draft.title, ""), *(c for r in draft.remarks for c in _comment(r, ""))]
    for key, value in draft.document.items():
        if key != "space":
            lines.append(f"{key}: {_flow(value)}")
            continue
        lines.append("space:" if value else "space: {}")
        for name, remarks in draft.of_parameters.items():
            lines += [line for remark in remarks for line in _comment(remark, "  ")]
            if name in value:
                lines.append(f"  {_flow(name)}: {_flow(value[name])}")
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: str) -> Iterator[str]:
    # What a file says may hold anything: on one line, nothing of it is more than a comment.
    printable = "".join(c if c.isprintable() else " " for c in text)
    for line in textwrap.wrap(printable, WIDTH - len(indent) - 2) or [""]:
        yield f"{indent}# {line}"


def _flow(value: Any) -> str:
    match value:
        case Mapping():
            return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case str() if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
            return value
        case str():
            # YAML's readers stop at what is not printable.
            return "".join(
                c if c.isprintable() else f"\\U{ord(c):08x}"
                for c in json.dumps(value, ensure_ascii=False)
            )
        case _:
            return json.dumps(value)
