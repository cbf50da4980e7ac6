"""Two packages of one name in one process: ours, loaded and kept aside, and another project's.

`models` and `app` are names that other projects have, too. Where code of such a project is to be
imported, ours give way: all of `models` is loaded, leaves `sys.modules`, and is from then on what
``import models…`` means in our own files, inside functions included. Everywhere else it means the
project's. Only the importing file tells the two apart, which `sys.meta_path` is not told, but
`__import__` is.
"""

import builtins
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Final

#: Our packages that give way; `tuner` never does.
OURS: Final = ("models", "app")
_SERVICE: Final = "tuner"

#: Those of our modules that gave way, by their names.
_aside: dict[str, ModuleType] = {}
_python_import: Final = builtins.__import__


def give_way(folder: Path, names: Iterable[str]) -> None:
    """Have this process import `names`, and what is below them, from `folder` for good.

    They come before all that is installed. It is for processes that end with what they import:
    nothing takes it back. Nothing is written into the folder.
    """
    sys.dont_write_bytecode = True
    wanted = frozenset(names)
    for name in wanted.intersection(OURS).difference(_aside):
        _put_aside(name)
    sys.meta_path.insert(0, _Folder(folder, wanted))
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


def own_module(name: str) -> ModuleType:
    """Our module of this name, also after it gave way."""
    return _aside.get(name) or importlib.import_module(name)


def _put_aside(name: str) -> None:
    if name in sys.modules:
        for module in pkgutil.walk_packages(sys.modules[name].__path__, f"{name}."):
            with suppress(ImportError):  # a library that is optional: it raises where it is used
                importlib.import_module(module.name)
    ours = [known for known in sys.modules if known == name or known.startswith(f"{name}.")]
    for known in ours:
        _aside[known] = sys.modules.pop(known)
        # It remembers by name whose file is whose, and stumbles over a package without one.
        getattr(inspect, "_filesbymodname", {}).pop(known, None)
    builtins.__import__ = _import


def _import(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    top = name.partition(".")[0]
    if level == 0 and top in _aside and globals is not None and _is_ours(globals):
        # All of ours is loaded: what our files ask for is there, or nowhere.
        if name not in _aside:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return _aside[name if fromlist else top]
    return _python_import(name, globals, locals, fromlist or (), level)


def _is_ours(importer: Mapping[str, Any]) -> bool:
    name: str = importer.get("__name__", "")
    if name in _aside:
        return vars(_aside[name]) is importer
    # What this process was started to do is ours.
    return name == "__main__" or name.partition(".")[0] == _SERVICE


class _Folder:
    """Finds some modules in one folder alone.

    A folder without an ``__init__.py`` would else give way to any package of its name behind it.
    Where ours is installed to be edited, a finder of its own would find what is missing in theirs.
    """

    def __init__(self, folder: Path, names: frozenset[str]) -> None:
        self._path = [str(folder)]
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top = name.partition(".")[0]
        if name in self._names:
            return PathFinder.find_spec(name, self._path, target)
        if top in self._names.intersection(OURS):
            found = PathFinder.find_spec(name, path, target)
            if found is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return found
        return None
