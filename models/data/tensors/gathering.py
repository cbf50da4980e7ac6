"""What a function of others gives as data, gathered into arrays in memory."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from models.catalog import DataRefused
from models.data.arrays.reading import Array
from models.importing import load_others
from models.memory import available_memory

SPLITS: Final = ("training", "validation", "test")
#: An array is prepared beside what it is made of.
_COPIES: Final = 3
_FORMS: Final = (
    "give a torch Dataset, or two or three of them (training, validation, test), or arrays x, y or "
    "x_train, y_train, x_val, y_val"
)

Pair = tuple[Array, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Examples (N, …) and labels (N,) of each split, in the order of `SPLITS`."""

    splits: tuple[Pair, ...]
    #: What was made of what the function gave, in sentences.
    notes: tuple[str, ...]


def gathered(path: str, arguments: Mapping[str, Any]) -> Gathered:
    """What the function at `path` gives, called with `arguments` and seeded random numbers.

    Raises:
        DataRefused: it raises, or gives what is no data, or none that fits in memory.
        PartRefused: it is not there.
    """
    function = load_others(path)
    if not callable(function):
        raise DataRefused(
            f"{path} is a {type(function).__name__}; name a function that gives data."
        )
    with torch.random.fork_rng(devices=()):
        # So that a division drawn at random is the same whenever it is called.
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        try:
            given = function(**arguments)
        except DataRefused:
            raise
        except Exception as error:
            said = ", ".join(f"{name} = {value!r}" for name, value in arguments.items())
            raise DataRefused(
                f"{path} called with {said or 'no arguments'} raised "
                f"{type(error).__name__}: {error}"
            ) from error
        parts = _parts(path, given)
        splits = tuple(_pair(path, *named) for named in zip(SPLITS, parts, strict=False))
    _check_alike(path, splits)
    loaders = any(isinstance(part, DataLoader) for part in parts)
    note = "Of a DataLoader its data set is taken; batches and their order are the service's own."
    return Gathered(splits=splits, notes=(note,) if loaders else ())


def _parts(path: str, given: Any) -> list[Any]:
    """A data set, a loader, or a pair of arrays for each split."""
    if isinstance(given, Dataset | DataLoader):
        return [given]
    if isinstance(given, tuple | list) and given:
        if all(isinstance(part, Dataset | DataLoader) for part in given) and len(given) <= 3:
            return list(given)
        if all(map(_is_array, given)) and len(given) in (2, 4, 6):
            return list(zip(given[::2], given[1::2], strict=True))
        if all(map(_is_pair, given)) and len(given) <= 3:
            return list(given)
    of = f" of {len(given)}" if isinstance(given, tuple | list) else ""
    raise DataRefused(f"{path} gave a {type(given).__name__}{of}, which is no data: {_FORMS}.")


def _is_array(part: Any) -> bool:
    return isinstance(part, np.ndarray | Tensor)


def _is_pair(part: Any) -> bool:
    return isinstance(part, tuple | list) and len(part) == 2 and all(map(_is_array, part))


def _pair(path: str, split: str, part: Any) -> Pair:
    if isinstance(part, DataLoader):
        part = part.dataset
    if isinstance(part, TensorDataset) and len(part.tensors) == 2:
        part = part.tensors
    if isinstance(part, Dataset):
        return _stacked(f"{path}, {split} data", part)
    inputs, labels = map(_array, part)
    if len(inputs) != len(labels) or not len(inputs):
        raise DataRefused(
            f"{path}, {split} data: {len(inputs)} examples and {len(labels)} labels; there must "
            "be as many of both, and one at least."
        )
    return inputs, labels


def _stacked(what: str, data: Dataset[Any]) -> Pair:
    """The examples one after another, each an input and a label."""
    examples: list[Array] = []
    labels: list[Any] = []
    free = available_memory()
    for number, item in enumerate(_items(data)):
        if not (isinstance(item, tuple | list) and len(item) == 2):
            raise DataRefused(
                f"{what}: example {number} is a {type(item).__name__}; an example is a pair of an "
                "input and a label."
            )
        example = _array(item[0])
        if examples and example.shape != examples[0].shape:
            raise DataRefused(
                f"{what}: example {number} is of shape {example.shape}, and example 0 of "
                f"{examples[0].shape}; bring all to one shape, as torchvision's Resize does."
            )
        examples.append(example)
        labels.append(_array(item[1]))
        _check_memory(what, example.nbytes, number + 1, data, free)
    if not examples:
        raise DataRefused(f"{what}: it is empty; give one example at least.")
    return np.stack(examples), np.stack(labels)


def _items(data: Dataset[Any]) -> Iterator[Any]:
    if isinstance(data, IterableDataset):
        yield from data
        return
    for index in range(len(data)):  # type: ignore[arg-type]
        yield data[index]


def _check_memory(what: str, bytes_each: int, so_far: int, data: Dataset[Any], free: int) -> None:
    """Before all of a data set whose length is known is read; else as it grows."""
    known = not isinstance(data, IterableDataset)
    count = len(data) if known else so_far  # type: ignore[arg-type]
    if (so_far == 1 or not known) and _COPIES * count * bytes_each > free:
        raise DataRefused(
            f"{what}: {count:,} examples of {bytes_each:,} bytes do not fit in memory, of which "
            f"{free / 1e6:,.0f} MB are free; give fewer or smaller ones."
        )


def _array(given: Any) -> Array:
    """Of a tensor, an image or a number."""
    if isinstance(given, Tensor):
        given = given.detach().cpu()
        given = given.float() if given.dtype is torch.bfloat16 else given
    return np.asarray(given)


def _check_alike(path: str, splits: Sequence[Pair]) -> None:
    first = splits[0][0].shape[1:]
    for name, (inputs, _) in zip(SPLITS, splits, strict=False):
        if inputs.shape[1:] != first:
            raise DataRefused(
                f"{path}: {name} examples are of shape {inputs.shape[1:]}, and those that train of "
                f"{first}; they must have one shape."
            )
