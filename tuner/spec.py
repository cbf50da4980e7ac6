"""The description of a job: what a person may write, checked once, here."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from models.catalog import DataSource
from models.data.entry import PYTHON
from models.entries import catalog
from models.importing import is_import_path
from tuner.errors import Fault, SpecInvalid, nearest
from tuner.foreign.origin import Code
from tuner.parts import Part as _Part
from tuner.parts import parse_part
from tuner.search_spec import ObjectiveSearch, Search
from tuner.states import Direction

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
Label = Annotated[StrictStr, Field(max_length=200)]
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr


@cache
def _data_options() -> frozenset[str]:
    """What may be said of data beside its kind and its path; which of them, depends on the kind."""
    return frozenset(option for entry in catalog().data.values() for option in entry.options)


class Budget(_Part):
    """When a job is done: whichever comes first."""

    trials: Count = 50
    epochs: Annotated[StrictInt, Field(ge=1, le=100_000)] = 20
    hours: Positive | None = None
    #: Stop as soon as a trial's value is at least this good.
    target: float | None = None
    #: Stop after so many completed trials in a row without a better one.
    patience: Count | None = None


class Keep(_Part):
    """Which checkpoints outlive their trial."""

    best: Annotated[StrictInt, Field(ge=0, le=1000)] = 1
    last: Literal["running", "all"] = "running"


class Resources(_Part):
    """What one trial may use."""

    #: A share of one GPU, or so many whole ones.
    gpus: Annotated[float, Field(ge=0, le=8)] | Literal["auto"] = "auto"
    cpus: Annotated[float, Field(ge=0.05, le=1024)] = 1.0
    memory_gb: Positive | None = None
    #: Trials that one worker trains at once, as one program.
    lanes: Annotated[StrictInt, Field(ge=1, le=4096)] | Literal["auto"] = "auto"
    #: How the steps of lanes are carried out.
    graph: Literal["auto", "eager", "compile", "cudagraph"] = "auto"

    @field_validator("gpus")
    @classmethod
    def _several_are_whole(cls, gpus: float | str) -> float | str:
        if isinstance(gpus, float) and gpus > 1 and not gpus.is_integer():
            raise ValueError("it is a share of one GPU, at most 1, or a whole number of them")
        return gpus

    @field_validator("graph")
    @classmethod
    def _graph_has_a_device(cls, graph: str, others: ValidationInfo) -> str:
        if graph == "cudagraph" and others.data.get("gpus") == 0:
            raise ValueError("it wants a GPU, and gpus is 0; ask for compile, or leave gpus out")
        return graph


class Limits(_Part):
    """What ends a trial that does not end by itself."""

    trial_minutes: Positive | None = None
    no_progress_minutes: Positive = 30.0
    max_parameters: Annotated[StrictInt, Field(ge=1)] = 500_000_000


class JobSpec(_Part):
    """One tuning request, whatever is to be tuned: what all kinds of jobs have in common."""

    name: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None
    direction: Direction | None = None
    space: dict[StrictStr, Any] = Field(default_factory=dict)
    #: What every configuration must meet, each an expression in the names of parameters.
    constraints: Annotated[list[StrictStr], Field(max_length=100)] = Field(default_factory=list)
    start: Annotated[list[dict[StrictStr, Scalar]], Field(max_length=1000)] = Field(
        default_factory=list
    )
    budget: Budget = Budget()
    parallel: Count | Literal["auto"] = "auto"
    priority: Annotated[StrictInt, Field(ge=-1000, le=1000)] = 0
    labels: Annotated[dict[Label, Label], Field(max_length=64)] = Field(default_factory=dict)
    keep: Keep = Keep()
    search: Search = Search()
    #: The folder from which parts by import path come, before all that is installed.
    code: Code | None = None
    resources: Resources = Resources()
    limits: Limits = Limits()

    @property
    def title(self) -> str:
        """What a job is called that has no name."""
        raise NotImplementedError

    @property
    def parallel_limit(self) -> int | None:
        """Trials at once; None for as many as the slots allow."""
        return None if self.parallel == "auto" else self.parallel

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON, without what was left open."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def parse(cls, document: object) -> Self:
        """The spec of this kind in `document`; see `parse_spec`."""
        spec: Self = parse_part(cls, document)
        return spec


class TrainingSpec(JobSpec):
    """The service trains: model, data, loss and optimizer, and whatever else one cares to say."""

    model: StrictStr
    data: StrictStr | dict[StrictStr, Scalar | list[Scalar]]
    loss: StrictStr
    optimizer: StrictStr
    metric: StrictStr | None = None
    #: Names of the catalogue; ``auto`` for what suits the data, ``none`` for nothing.
    augment: StrictStr | Annotated[list[StrictStr], Field(max_length=100)] = "auto"
    #: Names of the catalogue, in the order in which they stand in front of the network; ``none``
    #: for nothing.
    prepare: StrictStr | Annotated[list[StrictStr], Field(max_length=100)] = "none"

    @field_validator("resources")
    @classmethod
    def _one_gpu(cls, resources: Resources) -> Resources:
        if isinstance(resources.gpus, float) and resources.gpus > 1:
            raise ValueError(
                f"gpus is {resources.gpus:g}, and the service trains a trial on one GPU; several "
                "are for an objective or a command"
            )
        return resources

    @field_validator("data")
    @classmethod
    def _one_kind_of_data(cls, data: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(data, dict) and PYTHON.name not in data:
            kinds = [name for name in data if name not in _data_options()]
            known = catalog().data
            if len(kinds) > 1 and any(name in known for name in kinds):
                strange = next((name for name in kinds if name not in known), kinds[-1])
                raise ValueError(
                    f"of {strange!r} nothing is known, {nearest(strange, sorted(_data_options()))}"
                )
            if len(kinds) != 1 or not isinstance(data[kinds[0]], str):
                raise ValueError("name one kind of data, such as {idx: FOLDER}")
        return data

    @property
    def title(self) -> str:
        source = self.data_source
        return f"{self.model} on {source.path if source.name == PYTHON.name else source.name}"

    @property
    def data_source(self) -> DataSource:
        """The catalogue's name of the data, its path, and what else is said of it."""
        if isinstance(self.data, str):
            if is_import_path(self.data):
                return DataSource(name=PYTHON.name, path=self.data)
            return DataSource(name=self.data)
        others = (name for name in self.data if name not in _data_options())
        name = PYTHON.name if PYTHON.name in self.data else next(others)
        options = {key: value for key, value in self.data.items() if key != name}
        return DataSource(name=name, path=str(self.data[name]), options=options)

    @property
    def augment_names(self) -> list[str]:
        """What `augment` names, one or several."""
        return [self.augment] if isinstance(self.augment, str) else self.augment

    @property
    def prepare_names(self) -> list[str]:
        """What `prepare` names, one or several; no name where it is ``none``."""
        names = [self.prepare] if isinstance(self.prepare, str) else self.prepare
        return [] if names == ["none"] else names


class ObjectiveSpec(JobSpec):
    """An Optuna objective: a function of a trial, or of a configuration and a trial.

    With a `space` it is the latter; without, it suggests its parameters itself.
    """

    #: ``package.module:function``.
    objective: StrictStr
    #: What the value it returns is called; of several values each one's name and direction.
    metric: StrictStr | Annotated[dict[StrictStr, Direction], Field(min_length=1)] = "value"
    search: ObjectiveSearch = ObjectiveSearch()

    @property
    def title(self) -> str:
        return self.objective

    @property
    def metrics(self) -> dict[str, Direction]:
        """The direction of each value it returns, in order; Optuna's own is to minimize."""
        if isinstance(self.metric, str):
            return {self.metric: self.direction or Direction.MINIMIZE}
        return self.metric

    @property
    def defines_by_run(self) -> bool:
        """Whether its parameters are known only once it has asked for them."""
        return not self.space


class CommandSpec(JobSpec):
    """A program with arguments, into which the values of a declared space are put."""

    #: The program and its arguments, with ``{name}`` for a parameter's value; no shell reads it.
    command: Annotated[list[StrictStr], Field(min_length=1, max_length=1000)]
    #: What its trials are judged by, as the program reports it.
    metric: StrictStr

    @property
    def title(self) -> str:
        return " ".join(self.command)[:200]


#: By the key that only this kind has; without any of them the service trains.
_KINDS: Final[Mapping[str, type[JobSpec]]] = {"objective": ObjectiveSpec, "command": CommandSpec}


def parse_spec(document: object) -> JobSpec:
    """The spec in `document`, plain data as JSON or YAML gives it; of which kind, its keys say.

    Raises:
        SpecInvalid: it is not one; every fault is listed, with the nearest known key.
    """
    keys = document if isinstance(document, Mapping) else {}
    ways = [way for way in ("model", *_KINDS) if way in keys]
    if len(ways) > 1:
        detail = f"A job has {' or '.join(ways)}, not {len(ways)} of them; leave out the others."
        raise SpecInvalid([Fault(pointer=f"/{ways[1]}", code="two-kinds", detail=detail)])
    return _KINDS.get(ways[0] if ways else "model", TrainingSpec).parse(document)


class JobPatch(_Part):
    """A change of a live job's settings, or more budget for a finished one."""

    revision: StrictInt
    budget: dict[Literal["trials", "hours", "target", "patience"], Any] | None = None
    parallel: Count | Literal["auto"] | None = None
    priority: Annotated[StrictInt, Field(ge=-1000, le=1000)] | None = None
    labels: Annotated[dict[Label, Label], Field(max_length=64)] | None = None
