"""What an argument of one's own network is called in a space. Torch-free; imports no such code."""

from functools import cache
from typing import Final

from models.catalog import DataShape
from models.entries import catalog, loss_entry, optimizer_entry, preparer_entry
from models.hyperparameters import Hyperparameter, Value
from models.importing import is_import_path
from models.recipe import Recipe
from models.training.entry import training_hyperparameters

#: Stands before the name of an argument that something else is called already.
PREFIX: Final = "model."
#: What a spec calls its own parts, and what is tuned of the data.
_OF_SPECS: Final = frozenset(
    {"model", "data", "loss", "optimizer", "metric", "augment", "prepare", "balance", "scaling"}
)
_ANY: Final = DataShape(
    input_shape=(1,), classes=2, train_rows=1000, val_rows=250, test_rows=0, labels=(0, 1)
)


def in_space(argument: str) -> str:
    """The name of a network's argument in a space: its own, unless that is taken."""
    return f"{PREFIX}{argument}" if argument in taken_names() else argument


@cache
def taken_names() -> frozenset[str]:
    """What the hyperparameters of training, losses, optimizers, augmentations and preparations are
    called, whether a job has them or not: a network's argument has the same name in every job."""
    entries = catalog()
    owned = [
        *training_hyperparameters(_ANY, 3),
        *(h for entry in entries.losses.values() for h in entry.hyperparameters),
        *(h for entry in entries.optimizers.values() for h in entry.hyperparameters),
        *(h for entry in entries.preparers.values() for h in entry.hyperparameters),
    ]
    return _OF_SPECS | entries.augmentations.keys() | {h.name for h in owned}


def own_values(recipe: Recipe, shape: DataShape) -> dict[str, Value]:
    """What the recipe's configuration says for parts by import path: names that none of the
    catalogue's parts has."""
    known = {"balance", "optimizer", "scaling"} | catalog().augmentations.keys()
    known |= {h.name for h in _of_catalogue(recipe, shape)}
    return {name: value for name, value in recipe.config.items() if name not in known}


def _of_catalogue(recipe: Recipe, shape: DataShape) -> list[Hyperparameter]:
    found = [*training_hyperparameters(shape, recipe.epochs)]
    if not is_import_path(recipe.model):
        found += catalog().models[recipe.model].hyperparameters(shape)
    if not is_import_path(recipe.loss):
        found += loss_entry(recipe.loss).hyperparameters
    if not is_import_path(recipe.optimizer):
        found += optimizer_entry(recipe.optimizer).hyperparameters
    for name in recipe.prepare:
        found += preparer_entry(name).hyperparameters
    return found
