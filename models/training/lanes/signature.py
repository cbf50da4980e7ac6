"""Which trials can share a program, told from their recipes. Torch-free."""

import json
from hashlib import sha256
from typing import Any, Final

from models.catalog import AugmentationEntry, DataShape
from models.entries import catalog, loss_entry, model_entry, preparer_entry
from models.hyperparameters import Config, Hyperparameter, Real, Value
from models.importing import is_import_path
from models.own.names import own_values
from models.prepare.shapes import is_on
from models.recipe import Recipe
from models.training.entry import full_config

#: The optimizers whose update is known for all lanes at once.
OPTIMIZERS: Final = ("sgd", "adam", "adamw", "rmsprop")
#: Numbers of a model that are data to its program: the program knows only whether they are 0.
_RATES: Final = frozenset({"dropout", "attention_dropout", "residual_dropout", "stochastic_depth"})
#: Numbers of a loss that are data to its program.
_OF_LOSS: Final = frozenset({"label_smoothing", "gamma", "delta", "margin"})


def reason(recipe: Recipe, shape: DataShape, *, device: str = "cpu") -> str | None:
    """Why the recipe trains alone and not in a lane, as a sentence; None where nothing is known.

    Whether `vmap` carries a network of others is seen when it is built: see `LaneRefused`.
    """
    if recipe.optimizer not in OPTIMIZERS:
        known = f"{', '.join(OPTIMIZERS[:-1])} and {OPTIMIZERS[-1]}"
        return f"The optimizer {recipe.optimizer} trains alone; lanes know {known}."
    if is_import_path(recipe.loss):
        return f"The loss {recipe.loss} is by import path, and trains alone."
    preparers = [name for name in recipe.prepare if is_import_path(name)]
    if preparers:
        return f"{preparers[0]} prepares by import path; what others wrote trains alone."
    own = [name for name in recipe.config if is_import_path(name) and recipe.config[name]]
    if own:
        return f"{own[0]} alters examples by import path; what others wrote trains alone."
    mixing = [entry.name for entry in _augmentations(recipe.config, shape) if entry.mixes]
    if len(mixing) > 1:
        return f"Examples are mixed by {' or '.join(mixing)}, as chance has it; that is done alone."
    config = _full_config(recipe, shape)
    for name, plain, what in _PLAIN:
        if config[name] != plain:
            return f"{name} = {config[name]!r}: a trial that {what} trains alone."
    if config["precision"] != "float32" and (config["precision"] != "auto" or device != "cpu"):
        return f"precision = {config['precision']!r} on {device}: in lanes it must be float32."
    return None


_PLAIN: Final[tuple[tuple[str, Value, str], ...]] = (
    ("averaging", "none", "averages its weights"),
    ("accumulation", 1, "learns from its batches in parts"),
    ("folds", 1, "has a network for each fold"),
)


def signature(recipe: Recipe, shape: DataShape) -> str:
    """Trials whose signatures are equal can share a program; a digest.

    It says all that is no number of the trial's own: data, model and what shapes it, loss and
    optimizer by name, the rows of a batch, and which of the rates of dropping are 0. Of a network
    by import path nobody knows what its arguments do: all of them are in it.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
    """
    config = _full_config(recipe, shape)
    model = _arguments(recipe, shape, config)
    loss = _values(loss_entry(recipe.loss).hyperparameters, config)
    document: dict[str, Any] = {
        "data": recipe.to_json()["data"],
        "split_seed": recipe.split_seed,
        "model": recipe.model,
        "arguments": model,
        "loss": recipe.loss,
        "of_loss": {n: value for n, value in loss.items() if n not in _OF_LOSS},
        "weighed": config.get("balance") == "weights",
        "optimizer": recipe.optimizer,
        "batch_size": min(int(config["batch_size"]), shape.train_rows),
        "precision": config["precision"],
        "augment": {
            entry.name: _beyond(entry.strength, config[entry.name])
            for entry in _augmentations(config, shape)
        },
        "prepare": [
            [name, _values(preparer_entry(name).hyperparameters, config)]
            for name in recipe.prepare
            if is_on(name, config)
        ],
    }
    return sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]


def _full_config(recipe: Recipe, shape: DataShape) -> dict[str, Value]:
    """The values of a network of one's own are its own to check."""
    own = own_values(recipe, shape) if is_import_path(recipe.model) else {}
    return full_config(recipe, shape, but=own)


def _arguments(recipe: Recipe, shape: DataShape, config: Config) -> dict[str, Any]:
    """What makes the model, as far as its program knows it."""
    if is_import_path(recipe.model):
        return own_values(recipe, shape)
    values = _values(model_entry(recipe.model).hyperparameters(shape), config)
    return {name: value > 0 if name in _RATES else value for name, value in values.items()}


def _values(hyperparameters: tuple[Hyperparameter, ...], config: Config) -> dict[str, Any]:
    return {h.name: config.get(h.name, h.default) for h in hyperparameters}


def _augmentations(config: Config, shape: DataShape) -> list[AugmentationEntry]:
    """Those of the catalogue that alter examples of such data."""
    found = catalog().augmentations.values()
    return [entry for entry in found if config.get(entry.name) and shape.kind in entry.kinds]


def _beyond(strength: Hyperparameter, value: Value) -> Value:
    """A strength beyond the catalogue's range; True for all within, which one program serves."""
    return value if isinstance(strength, Real) and float(value) > strength.high else True
