"""Code named by import path: whether this server takes it. Nothing is imported here.

Whether it exists and is what it should be is looked at in a process of its own: see
`tuner.service.planning`.
"""

from collections.abc import Iterable, Sequence

from models.data.entry import PYTHON
from models.importing import is_import_path, path_complaint
from tuner.errors import Fault, SpecInvalid, nearest
from tuner.spec import TrainingSpec


def imported(spec: TrainingSpec) -> tuple[tuple[str, str], ...]:
    """The import paths that `spec` names, each behind the key that names it."""
    source = spec.data_source
    named = [
        ("model", spec.model),
        *([("data", str(source.path))] if source.name == PYTHON.name else []),
        ("loss", spec.loss),
        ("optimizer", spec.optimizer),
        *(("augment", name) for name in spec.augment_names),
        *(("prepare", name) for name in spec.prepare_names),
    ]
    return tuple((key, name) for key, name in named if is_import_path(name) or key == "data")


def imported_parts(spec: TrainingSpec) -> tuple[str, ...]:
    """The import paths of `spec`'s parts beside its model and its data."""
    paths = (path for key, path in imported(spec) if key not in ("model", "data"))
    return tuple(dict.fromkeys(paths))


def check_imports(spec: TrainingSpec, allowed: Sequence[str]) -> None:
    """Refuse paths that may not be imported, before a process is started to do so.

    Raises:
        SpecInvalid: with a fault for each.
    """
    called = {"augment": "augmentation", "prepare": "preparation"}
    complaints = [
        (key, path_complaint(called.get(key, key), path, allowed)) for key, path in imported(spec)
    ]
    faults = [
        Fault(pointer=f"/{key}", code=f"unknown-{called.get(key, key)}", detail=complaint)
        for key, complaint in complaints
        if complaint is not None
    ]
    if faults:
        raise SpecInvalid(faults)


def name_complaint(
    part: str, name: str, known: Iterable[str], allowed: Sequence[str]
) -> str | None:
    """What is wrong with the `name` of a `part`: unknown, or a path that may not be imported."""
    if not is_import_path(name):
        return None if name in known else f"{part} {name!r} is unknown: {nearest(name, [*known])}"
    return path_complaint(part, name, allowed)
