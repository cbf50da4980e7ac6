"""A trained network to take away: its weights and, in the metadata, all that rebuilds it."""

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
    return pack(checkpoint.part("model"), _document(checkpoint))


def save_model(path: Path, checkpoint: Checkpoint) -> int:
    """Write the exported model, whole or not at all; its size in bytes."""
    data = export_model(checkpoint)
    write_whole(path, data)
    return len(data)


def describe_model(path: Path) -> dict[str, Any]:
    """What the file says of itself: ``model``, its ``arguments``, ``input_shape``, ``classes``,
    ``normalisation`` (``mean`` and ``std`` of each channel), ``recipe``, ``epoch`` and ``metrics``.

    Raises:
        CheckpointCorrupt: a byte is missing or changed, or it is another kind of file.
    """
    return _read(path)[1]


def load_model(path: Path) -> nn.Module:
    """The network in evaluation mode, on the CPU; it takes normalised inputs.

    Raises:
        CheckpointCorrupt: a byte is missing or changed, or it is another kind of file.
    """
    tensors, document = _read(path)
    shape = DataShape(
        input_shape=tuple(document["input_shape"]),
        classes=document["classes"],
        # Sizes of the splits and the labels shape no network.
        train_rows=1,
        val_rows=1,
        test_rows=0,
        labels=(0, document["classes"] - 1),
    )
    # Without weights first: none are drawn only to be overwritten.
    with torch.device("meta"):
        module = build_model(document["model"], document["arguments"], shape)
    module = module.to_empty(device="cpu")
    module.load_state_dict(tensors)
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
        "input_shape": shape.input_shape,
        "classes": shape.classes,
        "normalisation": {"mean": checkpoint.mean, "std": checkpoint.std},
        "recipe": recipe.to_json(),
        "data_fingerprint": checkpoint.fingerprint,
        "epoch": checkpoint.epoch,
        "metrics": dict(checkpoint.metrics),
    }
