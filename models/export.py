"""A trained network to take away: its weights and, in the metadata, all that rebuilds it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from models.build import build_model, model_arguments
from models.catalog import DataShape
from models.checkpoint import Checkpoint, CheckpointCorrupt
from models.files import write_whole
from models.sealed import Damaged, pack, unpack

_FORMAT: Final = "tuner-model-1"


def export_model(checkpoint: Checkpoint) -> bytes:
    """A safetensors file of the weights, named as in the module's `state_dict`."""
    return pack(checkpoint.network, _document(checkpoint))


def save_model(path: Path, checkpoint: Checkpoint) -> int:
    """Write the exported model, whole or not at all; its size in bytes."""
    data = export_model(checkpoint)
    write_whole(path, data)
    return len(data)


def describe_model(path: Path) -> dict[str, Any]:
    """What the file says of itself: ``model``, its ``arguments``, the ``shape`` of the data,
    ``preparation`` (of images ``mean`` and ``std`` of each channel), ``recipe``, ``epoch`` and
    ``metrics``.

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
    # Without weights first: none are drawn only to be overwritten.
    with torch.device("meta"):
        module = build_model(
            document["model"], document["arguments"], DataShape.from_json(document["shape"])
        )
    module = module.to_empty(device="cpu")
    module.load_state_dict(tensors)
    return document, module.eval()


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
