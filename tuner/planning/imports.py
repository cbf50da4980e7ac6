"""Code named by import path: whether this server takes it. Nothing is imported here.

Whether it exists and is what it should be, a job's probe finds out, in a worker.
"""

from collections.abc import Iterable, Sequence

from models.importing import is_import_path, path_complaint
from tuner.errors import nearest
from tuner.spec import TrainingSpec

#: The parts of a spec that may be named by import path.
IMPORTABLE = ("loss", "optimizer", "augmentation", "preparation")


def imported_parts(spec: TrainingSpec) -> tuple[str, ...]:
    """The import paths that `spec` names."""
    named = (spec.loss, spec.optimizer, *spec.augment_names, *spec.prepare_names)
    return tuple(dict.fromkeys(name for name in named if is_import_path(name)))


def name_complaint(
    part: str, name: str, known: Iterable[str], allowed: Sequence[str]
) -> str | None:
    """What is wrong with the `name` of a `part`: unknown, or a path that may not be imported."""
    listed = ", ".join(sorted(known))
    if not is_import_path(name):
        return None if name in known else f"{part} {name!r} is unknown: {nearest(name, [*known])}"
    if part not in IMPORTABLE:
        return (
            f"{part} {name!r} is an import path; this version takes names of the catalogue only: "
            f"{listed}."
        )
    return path_complaint(part, name, allowed)
