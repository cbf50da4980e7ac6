"""Entries of parts that a job names by import path, made up from the path. Torch-free."""

from functools import partial
from typing import Final

from models.catalog import AugmentationEntry, DataShape, LossEntry, OptimizerEntry
from models.hyperparameters import Fixed, Real
from models.losses.entries import refuses_unless_classes

#: What one would try of an optimizer that nothing is known of.
_LR: Final = Real(
    name="lr", low=1e-4, high=1e-1, default=1e-3, log=True,
    source="arXiv:1910.05446, tables of search spaces",
)  # fmt: skip


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
