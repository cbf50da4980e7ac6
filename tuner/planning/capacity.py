"""What a configuration costs in parameters and memory, and whether a worker could hold it."""

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from models.catalog import DataShape
from models.entries import catalog
from models.hyperparameters import Config, Value
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The largest configurations of one job that may be tried. Torch-free, microseconds a call."""

    model: str
    #: Of configurations that do not choose one themselves.
    optimizer: str
    shape: DataShape
    max_parameters: int
    #: None for no limit.
    memory_limit_mb: float | None = None

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
        return _size(self.model, self.shape, self.max_parameters, items)

    def memory_mb(self, config: Config) -> float:
        """MiB for weights, gradients, the optimizer's state and a batch's activations.

        Of a batch learned from in parts, those of one part; averaged weights count twice.

        Infinite where the model passes `max_parameters`.
        """
        return self._memory_mb(self.size(config), config)

    def fits(self, config: Config) -> bool:
        """Whether `config` is within both limits."""
        memory_mb, limit_mb = self.memory_mb(config), self.memory_limit_mb
        return memory_mb < math.inf and (limit_mb is None or memory_mb <= limit_mb)

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
    return tuple(h.name for h in catalog().models[model].hyperparameters(shape))


@lru_cache(maxsize=4096)
def _size(
    model: str, shape: DataShape, max_parameters: int, items: tuple[tuple[str, Value], ...]
) -> Size:
    parameters = activations = 0
    for number, layer in enumerate(catalog().models[model].layers(dict(items), shape), start=1):
        parameters += layer.parameters
        activations += layer.activations
        if parameters > max_parameters:
            return Size(parameters=parameters, activations=activations, stopped_at=number)
    return Size(parameters=parameters, activations=activations, stopped_at=None)
