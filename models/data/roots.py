"""Folders a user may name: below the data roots, whatever links and dots the path has."""

from collections.abc import Callable, Sequence
from pathlib import Path

from models.catalog import DataRefused


def folder_below(argument: str, roots: Sequence[str]) -> Path:
    """The folder `argument` names, resolved; a relative one is looked up below each root in turn.

    Whether a path outside the roots exists is not told.

    Raises:
        DataRefused: it lies outside all roots, or is no folder.
    """
    return _below(argument, roots, "folder", Path.is_dir)


def file_below(argument: str, roots: Sequence[str]) -> Path:
    """The file `argument` names, as `folder_below` does.

    Raises:
        DataRefused: it lies outside all roots, or is no file.
    """
    return _below(argument, roots, "file", Path.is_file)


def folder_or_file_below(argument: str, roots: Sequence[str]) -> Path:
    """The folder or the file `argument` names, as `folder_below` does.

    Raises:
        DataRefused: it lies outside all roots, or there is neither.
    """
    return _below(argument, roots, "folder or file", Path.exists)


def _below(argument: str, roots: Sequence[str], what: str, is_one: Callable[[Path], bool]) -> Path:
    resolved_roots = [Path(root).resolve() for root in roots]
    candidates = [(root / argument).resolve() for root in resolved_roots]
    inside = [c for c in dict.fromkeys(candidates) if lies_below(c, resolved_roots)]
    listed = ", ".join(map(str, resolved_roots)) or "none is set"
    if not inside:
        raise DataRefused(
            f"{what.capitalize()} {argument!r} lies outside the data roots ({listed}); "
            "move it below one, or add its folder to TUNER_DATA_ROOTS."
        )
    for candidate in inside:
        if is_one(candidate):
            return candidate
    raise DataRefused(
        f"There is no {what} {argument!r} below the data roots ({listed}); "
        "check its name, or add the folder that holds it to TUNER_DATA_ROOTS."
    )


def lies_below(path: Path, roots: Sequence[Path]) -> bool:
    """Whether `path`, resolved, is one of `roots` or below it."""
    return any(path.is_relative_to(root) for root in roots)
