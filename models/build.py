"""From names and numbers to torch's objects: network, loss and optimizer."""

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn

from models.catalog import DataShape
from models.domains import check
from models.entries import catalog
from models.hyperparameters import Config, Hyperparameter
from models.importing import load
from models.muon import hidden_weights
from models.number_loss import NumberLoss

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
    """
    entry = catalog().models[name]
    arguments = _arguments(entry.hyperparameters(shape), config)
    if shape.categories:
        arguments["categories"] = shape.categories
    module: nn.Module = load(entry.build)(
        input_shape=shape.input_shape, outputs=shape.outputs, **arguments
    )
    # Convolutions of few channels take half the time so on a CPU, and use tensor cores on a GPU.
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def model_arguments(name: str, config: Config, shape: DataShape) -> dict[str, Any]:
    """The hyperparameters the network is built with, defaults included."""
    return _arguments(catalog().models[name].hyperparameters(shape), config)


def build_loss(name: str, config: Config, *, training: bool) -> nn.Module:
    """The loss, a mean over the batch; unless `training`, as all trials are judged by it.

    Of numbers it is a `NumberLoss`.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
    """
    entry = catalog().losses[name]
    arguments = {
        _TORCH_NAMES.get(key, key): value
        for key, value in _arguments(entry.hyperparameters, config).items()
        if training or key not in _TRAINING_ONLY
    }
    loss: nn.Module = load(entry.build)(**arguments)
    return NumberLoss(loss, link=entry.link) if entry.takes == "numbers" else loss


def build_optimizer(name: str, config: Config, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of the model's parameters; only matrices and kernels decay.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
    """
    entry = catalog().optimizers[name]
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
    decay = arguments.pop("weight_decay")
    decayed, others = _by_decay(model)
    groups = [
        {"params": decayed, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer: torch.optim.Optimizer = load(entry.build)(groups, **arguments)
    return optimizer


def _by_decay(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The parameters that decay, and those that do not; each in the model's order."""
    decayed: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in model.named_parameters():
        # Each column of a table has a bias of its own, so that together they look like a matrix.
        bias = name.rpartition(".")[2] == "bias"
        (decayed if parameter.dim() >= 2 and not bias else others).append(parameter)
    return decayed, others


def _arguments(hyperparameters: Iterable[Hyperparameter], config: Config) -> dict[str, Any]:
    arguments = {h.name: config.get(h.name, h.default) for h in hyperparameters}
    check(arguments)
    return arguments
