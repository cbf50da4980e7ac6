"""A command's arguments: what stands for values in them, what is wrong with them, what they become.

``{name}`` stands for a value, ``{{`` and ``}}`` for braces. There is no other syntax, and no shell.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from models.hyperparameters import Value
from tuner.errors import nearest

#: What can be put in beside parameters; a parameter of the same name goes before.
FACTS: Final = ("trial", "seed", "epochs", "gpus", "cpus", "checkpoint_dir")

_BRACES: Final = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<name>[^{}]*)\}|(?P<alone>[{}])")


def command_faults(
    command: Sequence[str], names: Collection[str], conditional: Collection[str] = ()
) -> list[str]:
    """What is wrong with a command of a space with these parameters, in sentences.

    Those that are `conditional` are no part of some configurations.
    """
    if not command or not command[0]:
        return ["command[0] is empty; the first argument is the program, such as python."]
    return [
        f"command[{i}] = {argument!r}: {complaint}"
        for i, argument in enumerate(command)
        for complaint in _complaints(command, i, names, conditional)
    ]


def command_notes(command: Sequence[str], names: Collection[str]) -> list[str]:
    """What is worth knowing of a command without fault, in sentences."""
    placed = {name for argument in command for name in _names_in(argument)}
    missing = [name for name in names if name not in placed]
    if not missing:
        return []
    return [f"No argument has {', '.join(missing)}: the command finds them in TUNER_PARAMS alone."]


def filled(
    command: Sequence[str], params: Mapping[str, Value], facts: Mapping[str, Value]
) -> list[str]:
    """The arguments with values in place of names; of a command without fault.

    An argument with a parameter that is no part of the configuration is left out.
    """
    values = {**facts, **params}
    return [
        _BRACES.sub(lambda found: _put_in(found, values), argument)
        for argument in command
        if all(name in values for name in _names_in(argument))
    ]


def _complaints(
    command: Sequence[str], i: int, names: Collection[str], conditional: Collection[str]
) -> Iterator[str]:
    argument = command[i]
    if "\0" in argument:
        yield "no argument can hold a zero byte."
    if any(found["alone"] for found in _BRACES.finditer(argument)):
        yield "a brace stands alone in it; write {{ and }} for braces themselves."
    for name in dict.fromkeys(_names_in(argument)):
        if name not in names and name not in FACTS:
            known = nearest(name, [*names, *FACTS])
            yield (
                f"{{{name}}} is neither a parameter of the space nor a fact of the trial, {known} "
                "Write {{ and }} for braces themselves."
            )
        elif name in conditional and i == 0:
            yield f"{{{name}}} is no part of some configurations, which would name no program."
        elif name in conditional and argument == f"{{{name}}}" and command[i - 1].startswith("-"):
            yield (
                f"{name} is no part of some configurations, and {command[i - 1]} would then stand "
                f"alone; write '{command[i - 1]}={argument}', which is left out as one."
            )


def _names_in(argument: str) -> list[str]:
    return [found["name"] for found in _BRACES.finditer(argument) if found["name"] is not None]


def _put_in(found: re.Match[str], values: Mapping[str, Value]) -> str:
    if found["name"] is None:
        return found[0][0]
    value = values[found["name"]]
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
