"""Averages of a network's weights over its training: what is judged and taken away is the average.

The training itself goes on with the weights as they are.
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from models.hyperparameters import Config


class Averaging(Protocol):
    """Follows a network as it learns."""

    @property
    def network(self) -> nn.Module:
        """What is validated and taken away."""

    def after_step(self) -> None:
        """Take note of a step."""

    def after_epoch(self, epoch: int, batches: Iterable[Tensor]) -> None:
        """Take note of the end of `epoch`, counted from 1; `batches` are of training inputs."""

    def tensors(self) -> Mapping[str, Tensor]:
        """The average; nothing where there is none yet."""

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors` wrote."""


class Unaveraged:
    """The weights as they are."""

    def __init__(self, model: nn.Module) -> None:
        self.network = model

    def after_step(self) -> None:
        """Nothing to do."""

    def after_epoch(self, epoch: int, batches: Iterable[Tensor]) -> None:
        """Nothing to do."""

    def tensors(self) -> Mapping[str, Tensor]:
        """Nothing is remembered."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Nothing is remembered."""


class MovingAverage:
    """An exponential moving average (EMA) over steps, of the weights and of the buffers.

    The decay grows to `decay` as ``(1 + n) / (10 + n)`` after n steps, which is TensorFlow's rule:
    the average is over the last tenth of the steps or so, however short a training is. Statistics
    of batch normalisation are averaged alike, as timm does: weights an average is made of are so
    near to each other that theirs fit it.

    torch's own AveragedModel does the same, but waits for a GPU at every step.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.network = deepcopy(model)
        self._decay = decay
        self._steps = 0
        both = list(zip(_tensors_of(self.network), _tensors_of(model), strict=True))
        floats = [pair for pair in both if pair[0].is_floating_point()]
        self._averages = [average for average, _ in floats]
        self._weights = [weight for _, weight in floats]
        self._counts = [pair for pair in both if not pair[0].is_floating_point()]

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the average towards the weights."""
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)
        for average, count in self._counts:
            average.copy_(count)
        self._steps += 1

    def after_epoch(self, epoch: int, batches: Iterable[Tensor]) -> None:
        """Nothing to do."""

    def tensors(self) -> Mapping[str, Tensor]:
        """The average and its number of steps, named as torch's AveragedModel does."""
        named = {f"module.{name}": value for name, value in self.network.state_dict().items()}
        return named | {"n_averaged": torch.tensor(self._steps)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on averaging."""
        named = {name.removeprefix("module."): value for name, value in tensors.items()}
        self._steps = int(named.pop("n_averaged"))
        self.network.load_state_dict(named)


def _tensors_of(model: nn.Module) -> Iterable[Tensor]:
    return chain(model.parameters(), model.buffers())


class LateAverage:
    """Stochastic weight averaging (SWA): the mean of the weights at the ends of late epochs.

    arXiv:1803.05407, algorithm 1, with an epoch as the cycle and whatever schedule there is. Until
    the first of these epochs has ended, the network is what is judged. The average's own statistics
    of batch normalisation are learned in a pass over the training inputs, section 3.2: weights so
    far apart have statistics whose mean fits none of them.
    """

    def __init__(self, model: nn.Module, *, after: int) -> None:
        self._model = model
        self._after = after
        self._average = AveragedModel(model)

    @property
    def network(self) -> nn.Module:
        """The average, once there is one."""
        module: nn.Module = self._average.module
        return module if self._average.n_averaged > 0 else self._model

    def after_step(self) -> None:
        """Nothing to do."""

    def after_epoch(self, epoch: int, batches: Iterable[Tensor]) -> None:
        """Add the weights to the average."""
        if epoch > self._after:
            self._average.update_parameters(self._model)
            update_bn(batches, self._average.module)

    def tensors(self) -> Mapping[str, Tensor]:
        """The average and its number of epochs."""
        return self._average.state_dict() if self._average.n_averaged > 0 else {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on averaging."""
        if tensors:
            self._average.load_state_dict(tensors)


def averaging_of(config: Config, model: nn.Module, *, epochs: int) -> Averaging:
    """The averaging that `config` names, of `model`, which is on its device."""
    match config["averaging"]:
        case "ema":
            return MovingAverage(model, decay=float(config["ema_decay"]))
        case "swa":
            return LateAverage(model, after=int(float(config["swa_start"]) * epochs))
        case _:
            return Unaveraged(model)
