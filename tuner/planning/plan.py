"""What the service made of a spec: stored with the job, and all the scheduler needs of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from models.catalog import DataShape
from models.hyperparameters import Config, Value
from models.importing import is_import_path
from tuner.expressions.reading import Expression, parse_expression
from tuner.planning.capacity import Capacity
from tuner.space import Space
from tuner.states import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRange:
    """Parameters of the smallest, the default and the largest configuration that may be tried."""

    smallest: int
    default: int
    largest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A resolved spec."""

    space: Space
    #: Trial 0.
    default_config: Mapping[str, Value]
    metric: str
    direction: Direction
    #: Where several metrics are sought at once, those beside the first; else none.
    others: Mapping[str, Direction] = field(default_factory=dict)
    seed: int
    #: What every configuration that is tried stays within; None where others train, as in all
    #: that follows.
    capacity: Capacity | None = None
    parameters: ParameterRange | None = None
    #: Weights, gradients, optimizer state and activations of one batch, largest configuration.
    memory_mb: float | None = None
    #: What every configuration that is tried meets.
    constraints: tuple[Expression, ...] = ()
    #: What the service decided or left out, in sentences.
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> dict[str, Direction]:
        """All that its trials are judged by, and which way each is better."""
        return {self.metric: self.direction, **self.others}

    @property
    def data_shape(self) -> DataShape:
        """The shape of the data, as it was at submission; of jobs that the service trains."""
        assert self.capacity is not None
        return self.capacity.shape

    def feasible(self, config: Config) -> bool:
        """Whether `config` may be tried: it meets the constraints, and its model can exist and fits
        in memory. Microseconds.

        Of a network by import path all may that meet them: a worker, which has its code, looks
        whether it fits.
        """
        if not all(constraint.holds(config) for constraint in self.constraints):
            return False
        if self.capacity is None or is_import_path(self.capacity.model):
            return True
        return self.capacity.fits(config)

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON."""
        document = {
            "space": self.space.to_json(),
            "default_config": dict(self.default_config),
            "metric": self.metric,
            "direction": self.direction.value,
            "seed": self.seed,
            "notes": list(self.notes),
        }
        if self.constraints:
            document["constraints"] = [constraint.text for constraint in self.constraints]
        if self.others:
            document["others"] = {name: way.value for name, way in self.others.items()}
        if self.capacity is None or self.parameters is None:
            return document
        capacity = asdict(self.capacity)
        return document | {
            "data_shape": capacity.pop("shape"),
            "capacity": capacity,
            "parameters": asdict(self.parameters),
            "memory_mb": self.memory_mb,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Plan":
        """The plan `to_json` wrote."""
        plan = cls(
            space=Space.from_json(document["space"]),
            default_config=document["default_config"],
            metric=document["metric"],
            direction=Direction(document["direction"]),
            others={n: Direction(way) for n, way in document.get("others", {}).items()},
            seed=document["seed"],
            constraints=tuple(map(parse_expression, document.get("constraints", ()))),
            notes=tuple(document["notes"]),
        )
        if "capacity" not in document:
            return plan
        shape = document["data_shape"]
        return replace(
            plan,
            capacity=Capacity.from_json({**document["capacity"], "shape": shape}),
            parameters=ParameterRange(**document["parameters"]),
            memory_mb=document["memory_mb"],
        )
