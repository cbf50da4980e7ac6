"""A hyperparameter: its name, range, scale and default. Torch-free, and nothing of Optuna."""

from collections.abc import Mapping
from dataclasses import dataclass

Value = float | int | str | bool
Config = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A condition: the named parameter has one of these values."""

    parameter: str
    values: tuple[Value, ...]

    def holds(self, config: Config) -> bool:
        """Whether `config` has the parameter, with one of the values."""
        return self.parameter in config and config[self.parameter] in self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """A floating-point number in [low, high]; `step` counts from `low`."""

    name: str
    low: float
    high: float
    default: float
    log: bool = False
    step: float | None = None
    when: tuple[When, ...] = ()
    #: Where the range comes from: a paper and section, or common practice in words.
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """A whole number in [low, high]; `step` counts from `low`."""

    name: str
    low: int
    high: int
    default: int
    log: bool = False
    step: int = 1
    when: tuple[When, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the listed values; `ordered` says that neighbours in the list are alike."""

    name: str
    choices: tuple[Value, ...]
    default: Value
    ordered: bool = False
    when: tuple[When, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A value that is not searched."""

    name: str
    value: Value
    when: tuple[When, ...] = ()
    source: str = ""

    @property
    def default(self) -> Value:
        """The value itself."""
        return self.value


Hyperparameter = Real | Integer | Choice | Fixed


@dataclass(frozen=True, slots=True)
class Range:
    """The range of an argument of one's own network, written where it is declared:
    ``width: Annotated[int, Range(16, 256, log=True)] = 64``.

    Raises:
        ValueError: the bounds are inverted, or do not go with `log` or `step`.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"{self} is inverted; put the smaller bound first.")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError(f"{self}: log wants a bound above 0, and no step.")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"{self}: a step is above 0.")
