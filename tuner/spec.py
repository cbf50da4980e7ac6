"""The description of a job: what a person may write, checked once, here."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails

from models.catalog import DataSource
from models.entries import catalog
from tuner.errors import Fault, SpecInvalid, nearest
from tuner.states import Direction

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
Label = Annotated[StrictStr, Field(max_length=200)]
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr


@cache
def _data_options() -> frozenset[str]:
    """What may be said of data beside its kind and its path; which of them, depends on the kind."""
    return frozenset(option for entry in catalog().data.values() for option in entry.options)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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


class Search(_Part):
    """How the next configuration is found, and when a trial is given up."""

    sampler: Literal["auto", "tpe", "random", "qmc", "cmaes", "gp", "nsga2", "grid"] = "auto"
    pruner: Literal["asha", "hyperband", "median", "patient", "none"] = "asha"
    #: The job's seed; chosen at submission where none is given, and stored.
    seed: Annotated[StrictInt, Field(ge=0, lt=2**31)] | None = None


class Resources(_Part):
    """What one trial may use."""

    gpus: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = "auto"
    cpus: Annotated[float, Field(gt=0, le=1024)] = 1.0
    memory_gb: Positive | None = None
    #: Trials that one worker trains at once, as one program.
    lanes: Annotated[StrictInt, Field(ge=1, le=4096)] | Literal["auto"] = "auto"
    #: How the steps of lanes are carried out.
    graph: Literal["auto", "eager", "compile", "cudagraph"] = "auto"

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
    """One tuning request: model, data, loss and optimizer, and whatever else one cares to say."""

    name: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None
    model: StrictStr
    data: StrictStr | dict[StrictStr, Scalar | list[Scalar]]
    loss: StrictStr
    optimizer: StrictStr
    metric: StrictStr | None = None
    direction: Direction | None = None
    #: Names of the catalogue; ``auto`` for what suits the data, ``none`` for nothing.
    augment: StrictStr | Annotated[list[StrictStr], Field(max_length=100)] = "auto"
    #: Names of the catalogue, in the order in which they stand in front of the network; ``none``
    #: for nothing.
    prepare: StrictStr | Annotated[list[StrictStr], Field(max_length=100)] = "none"
    space: dict[StrictStr, Any] = Field(default_factory=dict)
    start: Annotated[list[dict[StrictStr, Scalar]], Field(max_length=1000)] = Field(
        default_factory=list
    )
    budget: Budget = Budget()
    parallel: Count | Literal["auto"] = "auto"
    priority: Annotated[StrictInt, Field(ge=-1000, le=1000)] = 0
    labels: Annotated[dict[Label, Label], Field(max_length=64)] = Field(default_factory=dict)
    keep: Keep = Keep()
    search: Search = Search()
    resources: Resources = Resources()
    limits: Limits = Limits()

    @field_validator("data")
    @classmethod
    def _one_kind_of_data(cls, data: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(data, dict):
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
    def data_source(self) -> DataSource:
        """The catalogue's name of the data, its path, and what else is said of it."""
        if isinstance(self.data, str):
            return DataSource(name=self.data)
        name = next(name for name in self.data if name not in _data_options())
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

    @property
    def parallel_limit(self) -> int | None:
        """Trials at once; None for as many as the slots allow."""
        return None if self.parallel == "auto" else self.parallel

    def to_json(self) -> dict[str, Any]:
        """The spec as plain JSON, without what was left open."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def parse(cls, document: object) -> Self:
        """The spec in `document`, plain data as JSON or YAML gives it.

        Raises:
            SpecInvalid: it is not one; every fault is listed, with the nearest known key.
        """
        spec: Self = parse_part(cls, document)
        return spec


class JobPatch(_Part):
    """A change of a live job's settings, or more budget for a finished one."""

    revision: StrictInt
    budget: dict[Literal["trials", "hours", "target", "patience"], Any] | None = None
    parallel: Count | Literal["auto"] | None = None
    priority: Annotated[StrictInt, Field(ge=-1000, le=1000)] | None = None
    labels: Annotated[dict[Label, Label], Field(max_length=64)] | None = None


def parse_part(part: type[BaseModel], document: object) -> Any:
    """An object of class `part` from plain data.

    Raises:
        SpecInvalid: with one fault for each thing wrong.
    """
    if not isinstance(document, Mapping):
        detail = (
            f"A {part.__name__} is a mapping of names to values, not {type(document).__name__}."
        )
        raise SpecInvalid([Fault(pointer="", code="type", detail=detail)])
    try:
        return part.model_validate(document)
    except ValidationError as error:
        raise SpecInvalid(_faults(part, document, error.errors())) from error


def _faults(part: type[BaseModel], document: object, errors: list[ErrorDetails]) -> list[Fault]:
    """One fault per place: the branches of a union complain one by one about the same value."""
    places: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for details in errors:
        places.setdefault(_place(details, document), []).append(details)
    return [_fault(part, place, complaints) for place, complaints in places.items()]


def _place(details: ErrorDetails, document: object) -> tuple[int | str, ...]:
    """The path to the value; pydantic adds the names of a union's branches, which it has not."""
    place: list[int | str] = []
    for key in details["loc"]:
        if _has(document, key):
            document = document[key]  # type: ignore[index]
        elif details["type"] != "missing":
            continue
        place.append(key)
    return tuple(place)


def _has(document: object, key: int | str) -> bool:
    if isinstance(document, Mapping):
        return key in document
    return isinstance(document, list) and isinstance(key, int) and key < len(document)


def _fault(
    part: type[BaseModel], place: tuple[int | str, ...], complaints: list[ErrorDetails]
) -> Fault:
    pointer = "".join(f"/{key}" for key in place)
    name = ".".join(map(str, place))
    match complaints[0]["type"]:
        case "missing":
            return Fault(pointer=pointer, code="missing", detail=f"{name} is missing.")
        case "extra_forbidden":
            known = tuple(_fields_at(part, place[:-1]))
            detail = f"{name} is an unknown key: {nearest(str(place[-1]), known)}"
            return Fault(pointer=pointer, code="unknown-key", detail=detail)
        case code:
            wishes = dict.fromkeys(_wish(details) for details in complaints)
            detail = f"{name} = {_short(complaints[0]['input'])}: {', or '.join(wishes)}."
            return Fault(pointer=pointer, code=code.replace("_", "-"), detail=detail)


def _wish(details: ErrorDetails) -> str:
    text = details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return text.partition(", unable to")[0]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _fields_at(part: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys the model below `part` at `place` knows."""
    for name in place:
        field = part.model_fields.get(str(name))
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        part = annotation
    return list(part.model_fields)
