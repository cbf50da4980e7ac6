"""From a trial as our tables have it to the one a study has of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from models.hyperparameters import Config
from tuner.search.translation import (
    NO_ROOM,
    STATE_OF_INFEASIBLE,
    STATES_IN_STUDY,
    distributions_from,
)
from tuner.states import TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrial:
    """A trial as our tables have it."""

    number: int
    state: TrialState
    params: Config
    value: float | None = None
    #: Where several metrics are sought, all of them; `value` is None then.
    values: Sequence[float] | None = None
    #: It failed because there is no room for it.
    infeasible: bool = False
    #: Step → value of the job's metric.
    reports: Mapping[int, float] = field(default_factory=dict)
    system_attrs: Mapping[str, Any] = field(default_factory=dict)
    #: Of a trial that suggested its parameters itself: their distributions, as Optuna's JSON.
    distributions: Mapping[str, str] | None = None
    user_attrs: Mapping[str, Any] = field(default_factory=dict)


def replayed(row: StoredTrial | None, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """The trial in a study whose searched parameters have these distributions.

    None is a hole in the numbers: it is kept open, so that ours and Optuna's stay equal.
    """
    if row is None:
        return optuna.create_trial(state=OptunaState.FAIL)
    reports = {s: v if math.isfinite(v) else math.nan for s, v in sorted(row.reports.items())}
    state, values = _ended(row, reports)
    if row.distributions is not None:
        distributions = distributions_from(row.distributions)
    params = {name: v for name, v in row.params.items() if name in distributions}
    return optuna.create_trial(
        state=state,
        values=values,
        params=params,
        distributions={name: distributions[name] for name in params},
        intermediate_values=reports,
        user_attrs=dict(row.user_attrs),
        system_attrs=dict(row.system_attrs) | dict([NO_ROOM] if row.infeasible else []),
    )


def _ended(
    row: StoredTrial, reports: dict[int, float]
) -> tuple[OptunaState, Sequence[float] | None]:
    """The state and the values: a pruned trial is worth its last report, a failed one nothing."""
    state = STATE_OF_INFEASIBLE if row.infeasible else STATES_IN_STUDY[row.state]
    value = row.value
    if state is OptunaState.PRUNED:
        value = next(reversed(reports.values()), None)
    values = usable(value, row.values)
    if state is OptunaState.COMPLETE and values is None:
        state = OptunaState.FAIL
    return state, values if state in (OptunaState.COMPLETE, OptunaState.PRUNED) else None


def usable(value: float | None, values: Sequence[float] | None = None) -> list[float] | None:
    """The values a sampler can learn from; None where one is missing or not finite."""
    found = list(values) if values is not None else [value]
    return [float(v) for v in found if v is not None and math.isfinite(v)] if _all(found) else None


def _all(values: Sequence[float | None]) -> bool:
    return all(value is not None and math.isfinite(value) for value in values)
