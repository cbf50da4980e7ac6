"""The training rows of a data set as lanes gather them, thousands at a step."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from models.data.loading import Dataset
from models.training.single import Training

#: Rows are prepared beforehand where all of them take no more than this.
_BYTES_AT_MOST: Final = 1 << 26


class Batches:
    """Gives the batches of a step, one for each lane, as a network and a loss want them."""

    def __init__(self, training: Training) -> None:
        """Of trainings like this one."""
        self._data, self._rows = training.data, training.batch_size
        self._inputs = Inputs(training.data)
        #: Any lane's would do, since strengths stand in what is drawn.
        self._augment = training.learner.augment
        #: The inputs of one batch, prepared.
        self.like = training.data.prepared(training.data.train.inputs[: self._rows])

    def __call__(self, rows: Tensor, alterations: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The training rows (K, B) of a step, altered: inputs (K, B, …) and targets (K, B, …)."""
        numbers = rows.flatten()
        targets = self._data.targets(self._data.train.labels.index_select(0, numbers))
        inputs, targets = self._augment.alter(
            self._inputs(numbers), targets, alterations, batch=self._rows
        )
        return _divided(inputs, rows.shape), _divided(targets, rows.shape)


class Inputs:
    """Gives the prepared inputs of rows."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        rows = data.train.inputs
        one = data.prepared(rows[:1])
        few = one.numel() * one.element_size() * len(rows) <= _BYTES_AT_MOST
        self._all = _channels_last(data.prepared(rows)) if few else None

    def __call__(self, rows: Tensor) -> Tensor:
        """Of rows by number (N,)."""
        if self._all is None:
            return self._data.prepared(self._data.train.inputs.index_select(0, rows))
        return _channels_first(self._all.index_select(0, rows))


def _divided(rows: Tensor, shape: torch.Size) -> Tensor:
    # Not reshaped: images are channels last, and stay so.
    divided: Tensor = rows.unflatten(0, shape)  # type: ignore[no-untyped-call]
    return divided


def _channels_last(inputs: Tensor) -> Tensor:
    """Images (N, C, H, W) in the order in which a preparation lays them out, as (N, H, W, C)."""
    return inputs.permute(0, 2, 3, 1).contiguous() if inputs.dim() == 4 else inputs


def _channels_first(inputs: Tensor) -> Tensor:
    return inputs.permute(0, 3, 1, 2) if inputs.dim() == 4 else inputs
