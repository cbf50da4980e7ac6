"""Parts named in the catalogue as ``module:name``, imported when they are wanted."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def load(path: str) -> Any:
    """What ``module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def later(path: str) -> Callable[..., Any]:
    """The function that `path` names, imported at its first call: not all need what it imports."""
    return lambda *arguments: load(path)(*arguments)
