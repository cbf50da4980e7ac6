"""Losses, optimizers and augmentations by import path: checked, and built as their kind wants."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from models.augment.base import Augmentation
from models.catalog import DataShape
from models.entries import optimizer_entry
from models.hyperparameters import Config, Value
from models.importing import PartRefused, is_import_path, load_others
from models.losses.numbers import NumberLoss
from models.optimizers.groups import by_decay
from models.own import network as own
from models.own.names import own_values
from models.recipe import Recipe

#: What the trainer itself gives, in order or by name.
_GIVEN_TO_LOSS = 2
_GIVEN_TO_AUGMENTATION = frozenset({"strength", "blank"})
#: What no configuration says, and so no message names.
_GIVEN = frozenset({"blank", "input_shape", "flagged"})


class ImportedLoss(NumberLoss):
    """Another's loss: a class built with its arguments, or a function.

    It is called with a network's outputs (B, classes) and labels (B,), or, where the target is a
    number, with (B,) and (B,); it gives the mean over the batch.
    """

    def __init__(self, path: str, loss: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__(loss)
        self.path = path

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        numbers = targets.is_floating_point() and targets.dim() == 1
        loss = self.loss(outputs.squeeze(1) if numbers else outputs, targets)
        if not isinstance(loss, Tensor) or loss.dim():
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise PartRefused(
                f"{self.path} gave {got}; a loss gives the mean over the batch, a tensor of no "
                "dimension."
            )
        return loss


def loss_at(path: str) -> Any:
    """The class or the function.

    Raises:
        PartRefused: it is not there, or no loss.
    """
    part = load_others(path)
    if not callable(part):
        raise PartRefused(
            f"{path} is a {type(part).__name__}; a loss is a class or a function of outputs and "
            "targets."
        )
    return part


def optimizer_at(path: str) -> Any:
    """The class.

    Raises:
        PartRefused: it is not there, or no optimizer.
    """
    return _subclass(path, torch.optim.Optimizer, "torch.optim.Optimizer")


def augmentation_at(path: str) -> Any:
    """The class.

    Raises:
        PartRefused: it is not there, or no augmentation.
    """
    return _subclass(path, Augmentation, "models.augment.base.Augmentation")


def preparer_at(path: str) -> Any:
    """The class.

    Raises:
        PartRefused: it is not there, or no module.
    """
    return _subclass(path, nn.Module, "torch.nn.Module")


def _subclass(path: str, base: type, called: str) -> Any:
    part = load_others(path)
    if not (inspect.isclass(part) and issubclass(part, base)):
        raise PartRefused(f"{path} is no subclass of {called}; name one.")
    return part


#: What gives the part that each key of a spec names.
PARTS: Final[Mapping[str, Callable[[str], Any]]] = {
    "loss": loss_at,
    "optimizer": optimizer_at,
    "augment": augmentation_at,
    "prepare": preparer_at,
}


def build_imported_loss(path: str, config: Config, *, training: bool) -> ImportedLoss:
    """The loss; unless `training` with its defaults, so that trials compare.

    Raises:
        PartRefused: it is not there, or no loss.
    """
    part = loss_at(path)
    arguments = arguments_for(part, config) if training else {}
    if inspect.isclass(part):
        return ImportedLoss(path, built(path, part, (), arguments))
    return ImportedLoss(path, lambda outputs, targets: part(outputs, targets, **arguments))


def build_imported_optimizer(path: str, config: Config, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of the model's parameters; only matrices and kernels decay, if any do.

    Raises:
        PartRefused: it is not there, or no optimizer.
    """
    part = optimizer_at(path)
    arguments = arguments_for(part, config)
    arguments["lr"] = config.get("lr", optimizer_entry(path).hyperparameters[0].default)
    groups: Any = model.parameters()
    if "weight_decay" in arguments:
        groups = by_decay(model, arguments.pop("weight_decay"))
    optimizer: torch.optim.Optimizer = built(path, part, (groups,), arguments)
    if "lr" not in optimizer.defaults:
        raise PartRefused(
            f"{path} has no lr among its defaults, which schedules set; pass it to "
            "torch.optim.Optimizer.__init__."
        )
    return optimizer


def build_imported_augmentation(path: str, config: Config, blank: Tensor) -> Augmentation:
    """The augmentation, with the strength that `config` has under its path.

    Raises:
        PartRefused: it is not there, or no augmentation.
    """
    part = augmentation_at(path)
    others = {name: value for name, value in config.items() if name not in _GIVEN_TO_AUGMENTATION}
    arguments = arguments_for(part, others) | {"blank": blank}
    augmentation: Augmentation = built(path, part, (float(config[path]),), arguments)
    return augmentation


def own_config(recipe: Recipe, shape: DataShape) -> dict[str, Value]:
    """What `recipe` says for its parts by import path: names that none of the catalogue's has.

    Raises:
        PartRefused: none of these parts takes a name; it is told with those that they take.
    """
    paths = _paths_of(recipe)
    if not paths:
        return {}
    values = own_values(recipe, shape)
    takers = {path: _parameters(load_others(path)) for path in paths - {recipe.model}}
    if recipe.model in paths:
        takers[recipe.model] = {*own.names(recipe.model)}
    for name in values.keys() - paths - {"lr"}:
        if not any(name in taken for taken in takers.values()):
            listed = "; ".join(
                f"{path} takes {', '.join(sorted(taken)) or 'none'}"
                for path, taken in takers.items()
            )
            raise PartRefused(f"No part has an argument {name!r}: {listed}.")
    return values


def _paths_of(recipe: Recipe) -> set[str]:
    names = (recipe.model, recipe.loss, recipe.optimizer, *recipe.prepare, *recipe.config)
    return {name for name in names if is_import_path(name)}


def arguments_for(part: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the part's arguments that `config` has."""
    taken = _parameters(part)
    return {name: config[name] for name in config if name in taken}


def _parameters(part: Any) -> set[str]:
    """The arguments that a space may name; of a function, all but outputs and targets."""
    try:
        parameters = list(inspect.signature(part).parameters.values())
    except (TypeError, ValueError):
        return set()
    if not inspect.isclass(part):
        parameters = parameters[_GIVEN_TO_LOSS:]
    elif issubclass(part, torch.optim.Optimizer):
        parameters = parameters[1:]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name for p in parameters if p.kind in named}


def built(path: str, part: Any, given: tuple[Any, ...], arguments: Mapping[str, Any]) -> Any:
    """The part, of what the trainer gives and of its own `arguments`.

    Raises:
        PartRefused: it refuses them.
    """
    try:
        return part(*given, **arguments)
    except (TypeError, ValueError) as error:
        named = ", ".join(sorted(arguments.keys() - _GIVEN)) or "no arguments"
        raise PartRefused(f"{path} cannot be built with {named}: {error}") from error
