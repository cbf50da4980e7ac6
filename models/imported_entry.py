"""Entries of parts that a job names by import path, made up from the path. Torch-free."""

from functools import partial
from typing import Final

from models.catalog import (
    AugmentationEntry,
    DataShape,
    LossEntry,
    ModelEntry,
    OptimizerEntry,
    PreparerEntry,
)
from models.hyperparameters import Fixed, Real
from models.importing import later
from models.losses.entries import refuses_unless_classes

#: What one would try of an optimizer that nothing is known of.
_LR: Final = Real(
    name="lr", low=1e-4, high=1e-1, default=1e-3, log=True,
    source="arXiv:1910.05446, tables of search spaces",
)  # fmt: skip


def imported_model(path: str) -> ModelEntry:
    """The entry of a network of one's own. The functions in it import its code, and raise
    `PartRefused` where it is not there, or no network."""
    return ModelEntry(
        name=path,
        summary="A network by import path.",
        source=path,
        build=path,
        hyperparameters=partial(later("models.own.network:hyperparameters"), path),
        layers=partial(later("models.own.network:layers"), path),
        others=partial(later("models.own.network:others"), path),
        kinds=("image", "table", "series", "text"),
    )


def imported_loss(path: str) -> LossEntry:
    """The entry of a loss of which only the path is known; it is judged by its own value."""
    return LossEntry(
        name=path,
        summary="A loss by import path.",
        build=path,
        hyperparameters=(),
        metric="val_loss",
        direction="minimize",
        refuses=partial(_refuses, path),
        takes="any",
    )


def _refuses(loss: str, shape: DataShape) -> str | None:
    return refuses_unless_classes(loss, shape) if shape.classes else None


def imported_optimizer(path: str) -> OptimizerEntry:
    """The entry of an optimizer of which only the path is known."""
    return OptimizerEntry(
        name=path, summary="An optimizer by import path.", build=path, hyperparameters=(_LR,)
    )


def imported_augmentation(path: str) -> AugmentationEntry:
    """The entry of an augmentation of which only the path is known; its strength is 1."""
    return AugmentationEntry(
        name=path,
        summary="An augmentation by import path.",
        source=path,
        build=path,
        strength=Fixed(name=path, value=1.0, source="1: its range is the spec's to say"),
    )


def imported_preparer(path: str) -> PreparerEntry:
    """The entry of a preparer of which only the path is known; of what shape its answers are, a
    probe finds out."""
    return PreparerEntry(
        name=path,
        summary="A preparation by import path.",
        source=path,
        build=path,
        hyperparameters=(Fixed(name=path, value=True, source="on, as the spec names it"),),
        kinds=("image", "table", "series"),
    )
