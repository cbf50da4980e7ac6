"""A network behind the modules that prepare what it sees."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final, Self

import torch
from torch import Tensor, nn

from models.catalog import DataShape
from models.data.dataset import Dataset
from models.domains import check
from models.entries import preparer_entry
from models.hyperparameters import Config
from models.imported import arguments_for, own_config
from models.importing import is_import_path, load_others
from models.prepare.learning import learned, unlearned
from models.prepare.shapes import is_on, numbers_of, with_numbers
from models.recipe import Recipe

#: The preparers that are on, in their order, each with its arguments; plain JSON.
Prepare = Mapping[str, Config]

#: Rows that preparers learn from, and how many numbers these may be.
MOST_ROWS: Final = 10_000
_MOST_NUMBERS: Final = 2**24


class Prepared(nn.Module):
    """A network behind preparers, which learned before it and do not change as it learns.

    Their state is part of the network's. They are always in evaluation mode and compute in 32 bits.
    The last `codes` columns of a table are categories, and pass by.
    """

    def __init__(self, preparers: Sequence[nn.Module], network: nn.Module, *, codes: int) -> None:
        super().__init__()
        self.prepare = nn.Sequential(*preparers).requires_grad_(requires_grad=False).eval()
        self.network = network
        self._codes = codes

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.prepare.eval()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        device = inputs.device.type
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                seen = self._prepared(inputs)
        else:
            seen = self._prepared(inputs)
        outputs: Tensor = self.network(seen)
        return outputs

    def _prepared(self, inputs: Tensor) -> Tensor:
        numbers, codes = _divided(inputs, self._codes)
        seen: Tensor = self.prepare(numbers)
        return seen if codes is None else torch.cat([seen, codes], 1)


def trained_part(model: nn.Module) -> nn.Module:
    """The network itself, without what stands in front of it."""
    return model.network if isinstance(model, Prepared) else model


def prepare_of(recipe: Recipe, shape: DataShape) -> Prepare:
    """The recipe's preparers that are on.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        PartRefused: a part by import path is not there, or takes no such argument.
    """
    names = [name for name in recipe.prepare if is_on(name, recipe.config)]
    own = own_config(recipe, shape) if names else {}
    return {name: _arguments(name, recipe.config, own) for name in names}


def rows_to_learn_from(data: Dataset) -> Tensor:
    """Prepared training rows on the CPU, evenly spread: `MOST_ROWS`, or of large examples fewer."""
    train = data.train
    fitting = _MOST_NUMBERS // prod(data.shape.input_shape)
    count = min(train.rows, MOST_ROWS, max(2, fitting))
    places = torch.arange(count, device=train.inputs.device) * train.rows // count
    return data.prepared(train.inputs[places]).cpu()


def build_preparers(
    prepare: Prepare, shape: DataShape, rows: Tensor | None = None
) -> tuple[list[nn.Module], DataShape]:
    """The preparers, and the data as a network behind them sees it; on the CPU.

    Each learns from what those before it make of `rows`, prepared training rows; without rows they
    know nothing yet.

    Raises:
        PartRefused: one is not there, or not what it should be.
    """
    given = torch.zeros(2, *shape.input_shape) if rows is None else rows
    numbers, _ = _divided(given, len(shape.categories))
    modules: list[nn.Module] = []
    for name, arguments in prepare.items():
        if rows is None:
            module, numbers = unlearned(name, arguments, numbers, flagged=shape.flagged)
        else:
            module, numbers = learned(name, arguments, numbers, flagged=shape.flagged)
        modules.append(module)
    seen = tuple(numbers.shape[1:]) if modules else numbers_of(shape)
    return modules, with_numbers(shape, seen)


def _arguments(name: str, config: Config, own: Config) -> Config:
    if is_import_path(name):
        return arguments_for(load_others(name), own)
    known = preparer_entry(name).hyperparameters
    arguments = {h.name: config.get(h.name, h.default) for h in known}
    check(arguments)
    return arguments


def _divided(inputs: Tensor, codes: int) -> tuple[Tensor, Tensor | None]:
    """The numbers and the codes of a table's rows; all else is numbers."""
    return (inputs[:, :-codes], inputs[:, -codes:]) if codes else (inputs, None)
