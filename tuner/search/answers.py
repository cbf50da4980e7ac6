"""What a study answers: plain values, and what must be stored with them to rebuild it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.hyperparameters import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A configuration to try, and what must be stored with it to rebuild the study."""

    number: int
    #: The whole configuration, fixed values included, in the order of decision.
    params: Mapping[str, Value]
    system_attrs: Mapping[str, Any]
    study_attrs: Mapping[str, Any]
    #: How the sampler came by it, where it says so.
    how: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneDecision:
    """Whether to give a trial up, and why."""

    prune: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What a parameter of a trial at work is to be."""

    value: Any
    #: All parameters of the trial so far, and Optuna's JSON of their distributions.
    params: Mapping[str, Any]
    distributions: Mapping[str, str]
    system_attrs: Mapping[str, Any]
    study_attrs: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarks:
    """All that an objective noted of a trial so far, and the sampler's notes on it."""

    user_attrs: Mapping[str, Any]
    system_attrs: Mapping[str, Any]
