"""A trained network to take away: its weights and, in the metadata, all that rebuilds it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from models.build import build_model, model_arguments
from models.catalog import DataShape
from models.files import Buffer, write_whole
from models.hyperparameters import Config
from models.sealed import Damaged, seal, unpack
from models.training.checkpoint import Checkpoint, CheckpointCorrupt
from models.training.members import Members, count_members

_FORMAT: Final = "tuner-model-1"


def seal_model(checkpoint: Checkpoint, facts: Mapping[str, Any] | None = None) -> list[Buffer]:
    """The bytes, in parts, of a safetensors file of the weights, named as in the module's
    `state_dict`.

    `facts` stand beside what is said of the model anyway; plain JSON.
    """
    return seal(checkpoint.network, _document(checkpoint) | dict(facts or {}))


def save_model(path: Path, checkpoint: Checkpoint, facts: Mapping[str, Any] | None = None) -> int:
    """Write the exported model, whole or not at all; its size in bytes."""
    return write_whole(path, *seal_model(checkpoint, facts))


def describe_model(path: Path) -> dict[str, Any]:
    """What the file says of itself: ``model``, its ``arguments``, the ``shape`` of the data,
    ``preparation`` (of images ``mean`` and ``std`` of each channel), ``recipe``, ``epoch``,
    ``metrics``, and from the service ``test`` (see `models.exported.held_out`) and ``environment``.

    Raises:
        CheckpointCorrupt: a byte is missing or changed, or it is another kind of file.
    """
    return _read(path)[1]


def load_model(path: Path) -> nn.Module:
    """The network in evaluation mode, on the CPU; it takes prepared inputs.

    Raises:
        CheckpointCorrupt: a byte is missing or changed, or it is another kind of file.
    """
    return open_model(path)[1]


def open_model(path: Path) -> tuple[dict[str, Any], nn.Module]:
    """What `describe_model` and `load_model` give, of one reading.

    Raises:
        CheckpointCorrupt: a byte is missing or changed, or it is another kind of file.
    """
    tensors, document = _read(path)
    shape = DataShape.from_json(document["shape"])
    return document, _rebuilt(document["model"], document["arguments"], shape, tensors)


def rebuild(checkpoint: Checkpoint) -> nn.Module:
    """The checkpoint's network in evaluation mode, on the CPU."""
    recipe = checkpoint.recipe
    return _rebuilt(recipe.model, recipe.config, checkpoint.shape, checkpoint.network)


def _rebuilt(
    name: str, config: Config, shape: DataShape, weights: Mapping[str, torch.Tensor]
) -> nn.Module:
    # Without weights first: none are drawn only to be overwritten.
    with torch.device("meta"):
        members = [build_model(name, config, shape) for _ in range(count_members(weights))]
        module = Members(members) if members else build_model(name, config, shape)
    module = module.to_empty(device="cpu")
    module.load_state_dict(weights)
    return module.eval()


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        tensors, document = unpack(path.read_bytes())
    except Damaged as error:
        raise CheckpointCorrupt(path, str(error)) from error
    if document.get("format") != _FORMAT:
        raise CheckpointCorrupt(path, "it is no exported model")
    return tensors, document


def _document(checkpoint: Checkpoint) -> dict[str, Any]:
    recipe, shape = checkpoint.recipe, checkpoint.shape
    return {
        "format": _FORMAT,
        "model": recipe.model,
        "arguments": model_arguments(recipe.model, recipe.config, shape),
        "shape": asdict(shape),
        "preparation": dict(checkpoint.preparation),
        "recipe": recipe.to_json(),
        "data_fingerprint": checkpoint.fingerprint,
        "epoch": checkpoint.epoch,
        "metrics": dict(checkpoint.metrics),
    }
