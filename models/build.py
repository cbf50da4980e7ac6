"""From names and numbers to torch's objects: network, loss and optimizer."""

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, Final

import torch
from torch import Tensor, nn

from models.catalog import ConfigRefused, DataShape
from models.domains import check
from models.entries import loss_entry, model_entry, optimizer_entry
from models.hyperparameters import Config, Hyperparameter
from models.imported import build_imported_loss, build_imported_optimizer
from models.importing import is_import_path, load
from models.losses.numbers import NumberLoss
from models.optimizers.groups import by_decay
from models.optimizers.muon import hidden_weights
from models.own import network as own
from models.prepare.chain import Prepare, Prepared, build_preparers

#: What torch calls differently.
_TORCH_NAMES: Final = {"margin_power": "p"}
#: Shapes training only: validation is judged without it, or with its default, so that trials
#: compare.
_TRAINING_ONLY: Final = frozenset({"label_smoothing", "gamma", "delta"})
#: Optimizers whose whole update is one kernel.
_FUSED: Final = frozenset({"sgd", "adam", "adamw"})


def build_model(name: str, config: Config, shape: DataShape) -> nn.Module:
    """The network, its weights drawn from torch's global generator.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        PartRefused: it is named by import path, and not there, or refuses its arguments.
    """
    if is_import_path(name):
        return own.build(name, config, shape)
    entry = model_entry(name)
    arguments = _arguments(entry.hyperparameters(shape), config)
    if shape.categories:
        arguments["categories"] = shape.categories
    module: nn.Module = load(entry.build)(
        input_shape=shape.input_shape, outputs=shape.outputs, **arguments
    )
    # Convolutions of few channels take half the time so on a CPU, and use tensor cores on a GPU.
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def build_network(
    name: str,
    config: Config,
    shape: DataShape,
    prepare: Prepare,
    *,
    rows: Tensor | None = None,
    empty: bool = False,
) -> nn.Module:
    """The model behind what prepares its inputs, built for what comes out of that; on the CPU.

    Preparers learn from `rows`, prepared training rows; without them they know nothing yet. If
    `empty` the model's weights are not drawn, and are to be loaded.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        PartRefused: a preparer is not there, or not what it should be.
    """
    preparers, seen = build_preparers(prepare, shape, rows)
    # What code of others computes as it is built must be there, and the meta device has nothing.
    empty = empty and not is_import_path(name)
    with torch.device("meta") if empty else nullcontext():
        network = build_model(name, config, seen)
    if empty:
        network = network.to_empty(device="cpu")
    return Prepared(preparers, network, codes=len(shape.categories)) if preparers else network


def model_arguments(name: str, config: Config, shape: DataShape) -> dict[str, Any]:
    """The hyperparameters the network is built with, defaults included."""
    if is_import_path(name):
        return own.arguments(name, config, shape)
    return _arguments(model_entry(name).hyperparameters(shape), config)


def build_loss(
    name: str, config: Config, *, training: bool, weights: Tensor | None = None
) -> nn.Module:
    """The loss, a mean over the batch; unless `training`, as all trials are judged by it.

    Of numbers it is a `NumberLoss`. `weights` (classes,) are those of each class; the mean is over
    the rows all the same.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        PartRefused: it is named by import path, and not what it should be.
    """
    if is_import_path(name):
        if weights is not None:
            raise ConfigRefused("balance", "weights", "needs a loss of the catalogue")
        return build_imported_loss(name, config, training=training)
    entry = loss_entry(name)
    arguments = {
        _TORCH_NAMES.get(key, key): value
        for key, value in _arguments(entry.hyperparameters, config).items()
        if training or key not in _TRAINING_ONLY
    }
    if weights is not None:
        # torch's own mean divides by the weights of the batch's rows, whatever these are.
        return MeanOfRows(load(entry.build)(**arguments, weight=weights, reduction="none"))
    loss: nn.Module = load(entry.build)(**arguments)
    return NumberLoss(loss, link=entry.link) if entry.takes == "numbers" else loss


class MeanOfRows(nn.Module):
    """The mean of a loss that gives one number for each row."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        losses: Tensor = self.loss(outputs, labels)
        return losses.mean()


def build_optimizer(name: str, config: Config, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of the model's parameters; only matrices and kernels decay.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        PartRefused: it is named by import path, and not what it should be.
    """
    if is_import_path(name):
        return build_imported_optimizer(name, config, model)
    entry = optimizer_entry(name)
    arguments = _arguments(entry.hyperparameters, config)
    if "beta1" in arguments:
        arguments["betas"] = (arguments.pop("beta1"), arguments.pop("beta2"))
    if "nesterov" in arguments:
        # Nesterov's correction of no momentum is none, and torch refuses the pair.
        arguments["nesterov"] = bool(arguments["nesterov"] and arguments["momentum"] > 0)
    if name == "muon":
        arguments["hidden"] = hidden_weights(model)
    if name in _FUSED:
        arguments["fused"] = True
    groups = by_decay(model, arguments.pop("weight_decay"))
    optimizer: torch.optim.Optimizer = load(entry.build)(groups, **arguments)
    return optimizer


def _arguments(hyperparameters: Iterable[Hyperparameter], config: Config) -> dict[str, Any]:
    arguments = {h.name: config.get(h.name, h.default) for h in hyperparameters}
    check(arguments)
    return arguments
