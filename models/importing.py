"""Parts named as ``module:name``, imported when they are wanted: the catalogue's, and others'."""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final

from models.namespace import own_module

_PATH: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class PartRefused(Exception):
    """Code named by import path is not there, or not what it should be; the message says which."""


def load(path: str) -> Any:
    """What ``module:name`` names, a part of this package."""
    module, _, name = path.partition(":")
    return getattr(own_module(module), name)


def later(path: str) -> Callable[..., Any]:
    """The function that `path` names, imported at its first call: not all need what it imports."""
    return lambda *arguments: load(path)(*arguments)


def is_import_path(name: str) -> bool:
    """Whether a part is named by import path; names of the catalogue have no colon."""
    return ":" in name


def path_complaint(part: str, path: str, allowed: Sequence[str]) -> str | None:
    """What is wrong with an import path: no path at all, or of a module that is not allowed.

    Allowed are the modules named, and all below them. Nothing is imported.
    """
    if _PATH.fullmatch(path) is None:
        return f"{part} {path!r} is no import path; write package.module:Name."
    module = path.partition(":")[0]
    if any(module == name or module.startswith(f"{name}.") for name in allowed):
        return None
    package = module.partition(".")[0]
    taken = f"imports code from {', '.join(allowed)} only" if allowed else "imports no such code"
    return (
        f"{part} {path!r} is an import path, and this server {taken}: add {package} to its "
        "setting TUNER_ALLOWED_CODE, or name a part of the catalogue."
    )


def load_others(path: str) -> Any:
    """What `path` names in code that is not this package's, in whatever it is called.

    Raises:
        PartRefused: there is no such module or name, or importing raised.
    """
    module, _, name = path.partition(":")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        raise PartRefused(
            f"{path}: {error}; install it into the Python that runs the workers."
        ) from error
    except Exception as error:
        # Whatever code at a module's top may raise.
        raise PartRefused(
            f"{path}: importing {module} raised {type(error).__name__}: {error}"
        ) from error
    if not hasattr(found, name):
        near = get_close_matches(name, vars(found), n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "define it there, or correct the name."
        raise PartRefused(f"{path}: module {module} has no {name!r}; {remedy}")
    return getattr(found, name)
