"""A trained network to take away: its weights and, in the metadata, all that rebuilds it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from models.build import build_network, model_arguments
from models.catalog import DataShape
from models.files import Buffer, write_whole
from models.hyperparameters import Config
from models.importing import PartRefused, is_import_path, path_complaint
from models.prepare.chain import Prepare, build_preparers, prepare_of
from models.sealed import Damaged, seal, unpack
from models.training.checkpoint import Checkpoint, CheckpointCorrupt
from models.training.members import Members, count_members

_FORMAT: Final = "tuner-model-1"


def seal_model(checkpoint: Checkpoint, facts: Mapping[str, Any] | None = None) -> list[Buffer]:
    """The bytes, in parts, of a safetensors file of the weights, named as in the module's
    `state_dict`.

    `facts` stand beside what is said of the model anyway; plain JSON.

    Raises:
        ValueError: the checkpoint is of the middle of an epoch: no metrics are its network's.
    """
    if checkpoint.amid_epoch:
        raise ValueError(f"Step {checkpoint.step} is amid an epoch; only whole ones are judged.")
    return seal(checkpoint.network, _document(checkpoint) | dict(facts or {}))


def save_model(path: Path, checkpoint: Checkpoint, facts: Mapping[str, Any] | None = None) -> int:
    """Write the exported model, whole or not at all; its size in bytes."""
    return write_whole(path, *seal_model(checkpoint, facts))


def describe_model(path: Path) -> dict[str, Any]:
    """What the file says of itself: ``model``, its ``arguments``, the ``shape`` of the data,
    ``preparation`` (of images ``mean`` and ``std`` of each channel), ``prepare`` (what stands in
    front of the network, in order, each with its arguments), ``recipe``, ``epoch``,
    ``metrics``, and from the service ``test`` (see `models.exported.held_out`) and ``environment``.

    Raises:
        CheckpointCorrupt: a byte is missing or changed, or it is another kind of file.
    """
    return _read(path)[1]


def load_model(path: Path, allowed_code: Sequence[str] = ()) -> nn.Module:
    """The network in evaluation mode, on the CPU; it takes prepared inputs.

    `allowed_code` are the modules from which it may import a network of one's own, and what
    prepares its inputs.

    Raises:
        CheckpointCorrupt: a byte is missing or changed, or it is another kind of file.
        PartRefused: it needs code by import path that is not allowed, or not there.
    """
    return open_model(path, allowed_code)[1]


def open_model(path: Path, allowed_code: Sequence[str] = ()) -> tuple[dict[str, Any], nn.Module]:
    """What `describe_model` and `load_model` give, of one reading.

    Raises:
        CheckpointCorrupt: a byte is missing or changed, or it is another kind of file.
        PartRefused: it needs code by import path that is not allowed, or not there.
    """
    tensors, document = _read(path)
    shape, prepare = DataShape.from_json(document["shape"]), document.get("prepare", {})
    _refuse_code(document["model"], prepare, allowed_code)
    network = _rebuilt(document["model"], document["arguments"], shape, prepare, tensors)
    return document, network


def rebuild(checkpoint: Checkpoint) -> nn.Module:
    """The checkpoint's network in evaluation mode, on the CPU."""
    recipe = checkpoint.recipe
    prepare = prepare_of(recipe, checkpoint.shape)
    return _rebuilt(recipe.model, recipe.config, checkpoint.shape, prepare, checkpoint.network)


def _rebuilt(
    name: str,
    config: Config,
    shape: DataShape,
    prepare: Prepare,
    weights: Mapping[str, torch.Tensor],
) -> nn.Module:
    def empty() -> nn.Module:
        return build_network(name, config, shape, prepare, empty=True)

    members = [empty() for _ in range(count_members(weights))]
    module = Members(members) if members else empty()
    module.load_state_dict(weights)
    return module.eval()


def _refuse_code(model: str, prepare: Prepare, allowed_code: Sequence[str]) -> None:
    roles = {model: "is this network"} | dict.fromkeys(prepare, "stands in front of this network")
    for name in filter(is_import_path, roles):
        if path_complaint("part", name, allowed_code) is not None:
            raise PartRefused(
                f"{name} {roles[name]}, and its code may not be imported here: "
                f"add {name.partition('.')[0].partition(':')[0]} to TUNER_ALLOWED_CODE."
            )


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
    prepare = prepare_of(recipe, shape)
    _, seen = build_preparers(prepare, shape)
    return {
        "format": _FORMAT,
        "model": recipe.model,
        "arguments": model_arguments(recipe.model, recipe.config, seen),
        "shape": asdict(shape),
        "preparation": dict(checkpoint.preparation),
        "prepare": prepare,
        "recipe": recipe.to_json(),
        "data_fingerprint": checkpoint.fingerprint,
        "epoch": checkpoint.epoch,
        "metrics": dict(checkpoint.metrics),
    }
