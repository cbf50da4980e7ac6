"""What stands in front of a job's networks: what its spec names, and what comes out of it."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from models.catalog import Catalog, DataShape, PreparerEntry
from models.entries import preparer_entry
from models.hyperparameters import Fixed, Hyperparameter
from models.prepare.shapes import numbers_of, seen_shape
from tuner.errors import Fault, SpecInvalid
from tuner.planning.augmenting import NONE
from tuner.planning.imports import name_complaint
from tuner.spec import TrainingSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """The hyperparameters of what prepares a network's inputs."""

    parameters: tuple[Hyperparameter, ...]
    #: The data as the network of trial 0 sees it; what is imported is taken to change no shape.
    shape: DataShape
    #: One sentence for each.
    notes: tuple[str, ...]


def preparing(
    spec: TrainingSpec, catalog: Catalog, shape: DataShape, allowed_code: tuple[str, ...] = ()
) -> Preparing:
    """What the ``prepare`` of `spec` amounts to; all of it is on in trial 0.

    Raises:
        SpecInvalid: a name is unknown, or stands for what the data cannot have.
    """
    names = spec.prepare_names
    faults = list(_faults(names, catalog, shape, allowed_code))
    if faults:
        raise SpecInvalid(faults)
    return Preparing(
        parameters=tuple(h for name in names for h in preparer_entry(name).hyperparameters),
        shape=seen_shape(names, {}, shape),
        notes=tuple(_notes(names, spec.space, shape)),
    )


def _notes(names: Sequence[str], wished: Collection[str], shape: DataShape) -> Iterator[str]:
    for place, name in enumerate(names):
        first = preparer_entry(name).hyperparameters[0]
        stands = f"{name} stands in front of the network, since prepare names it"
        if isinstance(first, Fixed):
            yield f"{stands}; the sizes told here take it to change no shape, and the probe counts."
            continue
        before, after = (seen_shape(names[:end], {}, shape) for end in (place, place + 1))
        if before != after:
            stands += f", and makes {_size(after)} of {_size(before)}"
        searched = "" if name in wished else f"; it is searched, and {first.default} in trial 0"
        yield f"{stands}{searched}."


def _size(shape: DataShape) -> str:
    return " x ".join(map(str, shape.input_shape))


def _faults(
    names: Sequence[str], catalog: Catalog, shape: DataShape, allowed_code: tuple[str, ...]
) -> Iterator[Fault]:
    known = catalog.preparers
    for place, name in enumerate(names):
        if names.count(name) > 1:
            yield _fault("doubled", f"prepare names {name} more than once; remove the others.")
            return
        if (complaint := _complaint(name, known, allowed_code)) is not None:
            yield _fault("unknown-preparation", complaint)
        elif (misfit := _misfit(preparer_entry(name), names[:place], known, shape)) is not None:
            yield _fault("wrong-data", misfit)


def _complaint(name: str, known: Iterable[str], allowed_code: tuple[str, ...]) -> str | None:
    if name == NONE:
        return "prepare: none stands alone, without other names beside it."
    return name_complaint("preparation", name, (NONE, *known), allowed_code)


def _misfit(
    entry: PreparerEntry, before: Sequence[str], known: Iterable[str], shape: DataShape
) -> str | None:
    """What is wrong with the data for `entry`, behind what stands before it."""
    if shape.kind not in entry.kinds:
        fitting = [name for name in known if shape.kind in preparer_entry(name).kinds]
        remedy = f"one of {', '.join(fitting)}" if fitting else "prepare: none"
        kinds = " or ".join(entry.kinds)
        return (
            f"preparation {entry.name} is for data of kind {kinds}, not {shape.kind}: use {remedy}."
        )
    if 0 in numbers_of(shape):
        return (
            f"preparation {entry.name} is for numbers, and all columns are categories: leave it "
            "out."
        )
    if not all(name in known for name in before):
        return None  # Of what shape the answers of imported code are, a probe finds out.
    complaint = entry.refuses(numbers_of(seen_shape(before, {}, shape)))
    return None if complaint is None else f"preparation {entry.name} {complaint}"


def _fault(code: str, detail: str) -> Fault:
    return Fault(pointer="/prepare", code=code, detail=detail)
