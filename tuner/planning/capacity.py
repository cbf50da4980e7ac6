"""What a configuration costs in parameters and memory, and whether a worker could hold it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, Self

from models.catalog import DataShape
from models.entries import model_entry
from models.hyperparameters import Config, Value
from models.importing import PartRefused
from models.prepare.shapes import seen_shape
from models.training.entry import parts_of

#: Parameters and activations are 32-bit floats.
BYTES: Final = 4
MIB: Final = 2**20
#: Numbers an optimizer keeps for each parameter; two moments where nothing is said here.
_OPTIMIZER_STATES: Final = {"sgd": 1, "adagrad": 1, "adafactor": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What was counted of a configuration, up to the layer that passes the limit."""

    parameters: int
    #: Numbers all layers leave for one example.
    activations: int
    #: The layer that passes the limit, counted from 1; None if none does.
    stopped_at: int | None
    #: Why code by import path builds nothing of it; None if it does.
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The largest configurations of one job that may be tried. Torch-free, microseconds a call.

    Of a network by import path it imports the code, and takes milliseconds.
    """

    model: str
    #: Of configurations that do not choose one themselves.
    optimizer: str
    shape: DataShape
    max_parameters: int
    #: None for no limit.
    memory_limit_mb: float | None = None
    #: What stands in front of the network, and may change what it sees.
    prepare: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The capacity that `dataclasses.asdict` wrote, after its way through JSON."""
        prepare, shape = tuple(document.get("prepare", ())), DataShape.from_json(document["shape"])
        return cls(**{**document, "prepare": prepare, "shape": shape})

    @property
    def limits(self) -> str:
        """The limits in words."""
        parameters = f"{self.max_parameters:,} parameters"
        if self.memory_limit_mb is None:
            return parameters
        return f"{parameters} and {self.memory_limit_mb:,.4g} MB"

    def size(self, config: Config) -> Size:
        """The size of `config`; counting stops at the layer that passes `max_parameters`."""
        own = own_hyperparameters(self.model, self.shape)
        items = tuple((name, config[name]) for name in own if name in config)
        shape = seen_shape(self.prepare, config, self.shape)
        return _size(self.model, shape, self.max_parameters, items)

    def memory_mb(self, config: Config) -> float:
        """MiB for weights, gradients, the optimizer's state and a batch's activations.

        Of a batch learned from in parts, those of one part; averaged weights count twice.

        Infinite where the model passes `max_parameters`.
        """
        return self._memory_mb(self.size(config), config)

    def fits(self, config: Config) -> bool:
        """Whether `config` is within both limits; so is what code by import path does not build."""
        memory_mb, limit_mb = self.memory_mb(config), self.memory_limit_mb
        return memory_mb < math.inf and (limit_mb is None or memory_mb <= limit_mb)

    def misfit(self, config: Config) -> str | None:
        """Why nothing is to be built with `config`, in a sentence; None if it can be, and fits."""
        refused = self.size(config).refused
        if refused is not None or self.fits(config):
            return refused
        return f"{self.model} with {dict(config)} does not stay within {self.limits}."

    def cost(self, config: Config) -> tuple[int, float]:
        """A key that sorts configurations, cheapest first, those that cannot exist included."""
        size = self.size(config)
        if size.stopped_at is None:
            return 0, self._memory_mb(size, config)
        # The sooner it passes the limit, the farther it is from existing.
        return 1, -float(size.stopped_at)

    def _memory_mb(self, size: Size, config: Config) -> float:
        if size.stopped_at is not None:
            return math.inf
        states = _OPTIMIZER_STATES.get(str(config.get("optimizer", self.optimizer)), 2)
        copies = 2 + states + (config.get("averaging", "none") != "none")
        batch_size = int(config.get("batch_size", 1))
        rows = math.ceil(batch_size / parts_of(config, batch_size))
        members = int(config.get("folds", 1))
        numbers = members * copies * size.parameters + rows * size.activations
        return numbers * BYTES / MIB


@cache
def own_hyperparameters(model: str, shape: DataShape) -> tuple[str, ...]:
    """The names of the hyperparameters that make a model."""
    entry = model_entry(model)
    return (*(h.name for h in entry.hyperparameters(shape)), *entry.others(shape))


@lru_cache(maxsize=4096)
def _size(
    model: str, shape: DataShape, max_parameters: int, items: tuple[tuple[str, Value], ...]
) -> Size:
    parameters = activations = 0
    try:
        layers = model_entry(model).layers(dict(items), shape)
    except PartRefused as error:
        return Size(parameters=0, activations=0, stopped_at=None, refused=str(error))
    for number, layer in enumerate(layers, start=1):
        parameters += layer.parameters
        activations += layer.activations
        if parameters > max_parameters:
            return Size(parameters=parameters, activations=activations, stopped_at=number)
    return Size(parameters=parameters, activations=activations, stopped_at=None)
