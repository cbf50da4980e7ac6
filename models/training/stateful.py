"""What of a training is kept in a checkpoint: its parts, each as named tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


class Stateful(Protocol):
    """A part of a training that goes on where it stopped."""

    def tensors(self) -> Mapping[str, Tensor]:
        """All that it remembers; not copied."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Remember what `tensors` wrote."""


@dataclass(frozen=True, slots=True)
class ModuleState:
    """A network's weights and buffers, named as in its `state_dict`."""

    module: nn.Module

    def tensors(self) -> Mapping[str, Tensor]:
        """Its `state_dict`."""
        return self.module.state_dict()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load it."""
        self.module.load_state_dict(tensors)


@dataclass(frozen=True, slots=True)
class OptimizerState:
    """An optimizer's memory of each parameter: ``<parameter's index>.<name>``."""

    optimizer: torch.optim.Optimizer

    def tensors(self) -> Mapping[str, Tensor]:
        """Tensors only: what else there is follows from the recipe."""
        return {
            f"{index}.{name}": value
            for index, state in self.optimizer.state_dict()["state"].items()
            for name, value in state.items()
            if isinstance(value, Tensor)
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load it."""
        packed = self.optimizer.state_dict()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for key, value in tensors.items():
            index, _, name = key.partition(".")
            parameter = parameters[int(index)]
            if value.shape == parameter.shape:
                # The optimizer's kernels want the parameter's own memory format.
                value = torch.empty_like(parameter).copy_(value)
            else:
                # The optimizer would count its steps in the checkpoint's own tensor.
                value = value.clone()
            packed["state"].setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict(packed)
