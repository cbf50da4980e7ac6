"""The part of a spec that says how to search: checked by itself, without Optuna."""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from tuner.parts import Part
from tuner.search_options import complaint_about_pruner, complaint_about_sampler

SamplerName = Literal[
    "auto", "tpe", "random", "qmc", "cmaes", "gp", "nsga2", "nsga3", "grid", "brute_force"
]
PrunerName = Literal["asha", "hyperband", "median", "patient", "threshold", "none"]
Options = dict[StrictStr, StrictBool | StrictInt | StrictFloat | StrictStr]


class Search(Part):
    """How the next configuration is found, and when a trial is given up."""

    sampler: SamplerName = "auto"
    pruner: PrunerName = "asha"
    #: The job's seed; chosen at submission where none is given, and stored.
    seed: Annotated[StrictInt, Field(ge=0, lt=2**31)] | None = None
    #: Whether a configuration that was tried is tried again, though others are left.
    duplicates: Literal["avoid", "allow"] = "avoid"
    #: What the sampler and the pruner are told, by Optuna's names.
    sampler_options: Options = Field(default_factory=dict)
    # A pruner may want to be told something, so that nothing is checked, too.
    pruner_options: Options = Field(default_factory=dict, validate_default=True)

    @field_validator("sampler_options")
    @classmethod
    def _for_the_sampler(cls, options: dict[str, Any], others: ValidationInfo) -> dict[str, Any]:
        if "sampler" in others.data:
            _refuse(complaint_about_sampler(others.data["sampler"], options))
        return options

    @field_validator("pruner_options")
    @classmethod
    def _for_the_pruner(cls, options: dict[str, Any], others: ValidationInfo) -> dict[str, Any]:
        if "pruner" in others.data:
            _refuse(complaint_about_pruner(others.data["pruner"], options))
        return options


class ObjectiveSearch(Search):
    """As `Search`; what Optuna takes where nothing is said is the default."""

    pruner: PrunerName = "median"


def _refuse(complaint: str | None) -> None:
    if complaint is not None:
        raise ValueError(complaint)
