"""Which augmentations a job has: those its spec names, or those that suit its data."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.augment.entries import Suggestion, default_augmentations
from models.catalog import AugmentationEntry, Catalog, DataShape, LossEntry
from models.entries import augmentation_entry
from models.hyperparameters import Choice, Hyperparameter
from models.importing import is_import_path
from tuner.errors import Fault, SpecInvalid
from tuner.planning.imports import name_complaint
from tuner.spec import TrainingSpec

AUTO: Final = "auto"
NONE: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmenting:
    """The augmentations' strengths, in the order in which they are applied."""

    strengths: tuple[Hyperparameter, ...]
    #: One sentence for each of which the spec says nothing.
    notes: tuple[str, ...]


def augmenting(
    spec: TrainingSpec,
    catalog: Catalog,
    loss: LossEntry,
    shape: DataShape,
    allowed_code: tuple[str, ...] = (),
) -> Augmenting:
    """What the ``augment`` of `spec` amounts to.

    An augmentation the spec names starts at its usual strength; one that only suits the data is
    off in trial 0, unless an expert would start with it. All are searched.

    Raises:
        SpecInvalid: a name is unknown, or stands for what data or loss cannot have.
    """
    names = spec.augment_names
    if names == [NONE]:
        return Augmenting(strengths=(), notes=())
    faults = list(_faults(names, catalog, loss, shape, allowed_code))
    if faults:
        raise SpecInvalid(faults)
    suggested = {s.name: s for s in _suggested(names, spec, shape) if s.name not in names}
    impossible = {n for n in suggested if catalog.augmentations[n].mixes and not loss.mixed_labels}
    strengths = [
        entry.strength if name in names or suggested[name].on else _off(entry.strength)
        for name, entry in catalog.augmentations.items()
        if name in names or name in suggested.keys() - impossible
    ]
    strengths += [augmentation_entry(name).strength for name in names if is_import_path(name)]
    notes = [
        f"{name} is left out: loss {loss.name} takes no mixed labels."
        if name in impossible
        else f"{name} is searched, and {'on' if one.on else 'off'} in trial 0: {one.reason}."
        for name, one in suggested.items()
        if name not in spec.space
    ]
    return Augmenting(strengths=tuple(strengths), notes=tuple(notes))


def _suggested(
    names: Sequence[str], spec: TrainingSpec, shape: DataShape
) -> tuple[Suggestion, ...]:
    if AUTO not in names or (spec.metric or "").startswith("train_"):
        # Judged by how well it does on what it is trained on, no trial gains by harder examples.
        return ()
    return default_augmentations(shape, spec.budget.epochs)


def _off(strength: Hyperparameter) -> Hyperparameter:
    if isinstance(strength, Choice):
        return replace(strength, default=False)
    return replace(strength, default=0.0)  # type: ignore[arg-type]


def _faults(
    names: Sequence[str],
    catalog: Catalog,
    loss: LossEntry,
    shape: DataShape,
    allowed_code: tuple[str, ...],
) -> Iterator[Fault]:
    known = catalog.augmentations
    for name in names:
        if name == AUTO:
            continue
        if names.count(name) > 1:
            yield _fault("doubled", f"augment names {name} more than once; remove the others.")
            return
        if (complaint := _complaint(name, known, allowed_code)) is not None:
            yield _fault("unknown-augmentation", complaint)
            continue
        entry = augmentation_entry(name)
        if shape.kind not in entry.kinds:
            yield _fault("wrong-data", _wrong_data(entry, known.values(), shape))
        elif entry.mixes and not loss.mixed_labels:
            yield _fault("mixed-labels", _mixed_labels(name, catalog, loss))


def _complaint(name: str, known: Iterable[str], allowed_code: tuple[str, ...]) -> str | None:
    if name == NONE:
        return "augment: none stands alone, without other names beside it."
    return name_complaint("augmentation", name, (AUTO, NONE, *known), allowed_code)


def _wrong_data(
    entry: AugmentationEntry, known: Iterable[AugmentationEntry], shape: DataShape
) -> str:
    fitting = ", ".join(e.name for e in known if shape.kind in e.kinds)
    remedy = f"one of {fitting}" if fitting else "augment: none"
    kinds = " or ".join(entry.kinds)
    return f"augmentation {entry.name} is for data of kind {kinds}, not {shape.kind}: use {remedy}."


def _mixed_labels(name: str, catalog: Catalog, loss: LossEntry) -> str:
    fitting = " or ".join(e.name for e in catalog.losses.values() if e.mixed_labels)
    return (
        f"augmentation {name} mixes the labels of two examples, which loss {loss.name} does not "
        f"take: leave {name} out, or use {fitting}."
    )


def _fault(code: str, detail: str) -> Fault:
    return Fault(pointer="/augment", code=code, detail=detail)
