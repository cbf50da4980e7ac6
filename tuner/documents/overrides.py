"""``key=value`` on the command line, laid over a document."""

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.documents.read_yaml import read_yaml
from tuner.errors import Fault, SpecInvalid


def apply_overrides(document: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`document` with every ``path.to.key=value`` of `overrides` set, later ones last.

    Values are YAML, so ``space.lr={float: [1e-4, 0.1], log: true}`` works; `document` is left as
    it was.

    Raises:
        SpecInvalid: an override has no ``=``, an empty key, a malformed value, or a path through
            something that is no mapping.
    """
    result = dict(document)
    for override in overrides:
        path, value = _parsed(override)
        _set(result, path, value, override)
    return result


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """The document that `overrides` make by themselves: ``{"budget": {"trials": 5}}``."""
    return apply_overrides({}, overrides)


def _parsed(override: str) -> tuple[list[str], Any]:
    left, equals, right = override.partition("=")
    path = [key.strip() for key in left.split(".")]
    if path[:2] == ["space", "model"] and len(path) > 2:
        # ``model.lr`` is the name of one hyperparameter: see `models.own.names`.
        path[1:3] = [".".join(path[1:3])]
    if not equals or not all(path):
        raise _refused("", f"{override!r} is no override; write key=value: budget.trials=5.")
    try:
        return path, read_yaml(right.encode("utf-8", "surrogatepass"))
    except SpecInvalid as error:
        raise _refused(_pointer(path), f"{override!r}: {error}") from error


def _set(document: dict[str, Any], path: Sequence[str], value: Any, override: str) -> None:
    for depth, key in enumerate(path[:-1], start=1):
        below = document.get(key)
        if below is not None and not isinstance(below, Mapping):
            outer = ".".join(path[:depth])
            detail = f"{override!r}: {outer} is {below!r}, which has no keys; set {outer} whole."
            raise _refused(_pointer(path[:depth]), detail)
        document[key] = dict(below or {})
        document = document[key]
    document[path[-1]] = value


def _pointer(path: Sequence[str]) -> str:
    return "".join(f"/{key}" for key in path)


def _refused(pointer: str, detail: str) -> SpecInvalid:
    return SpecInvalid([Fault(pointer=pointer, code="override", detail=detail)])
