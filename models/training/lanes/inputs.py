"""The training rows of a data set as lanes gather them, thousands at a step."""

from typing import Final

from torch import Tensor

from models.data.loading import Dataset

#: Rows are prepared beforehand where all of them take no more than this.
_BYTES_AT_MOST: Final = 1 << 26


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


def _channels_last(inputs: Tensor) -> Tensor:
    """Images (N, C, H, W) in the order in which a preparation lays them out, as (N, H, W, C)."""
    return inputs.permute(0, 2, 3, 1).contiguous() if inputs.dim() == 4 else inputs


def _channels_first(inputs: Tensor) -> Tensor:
    return inputs.permute(0, 3, 1, 2) if inputs.dim() == 4 else inputs
