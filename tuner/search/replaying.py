"""From a trial as our tables have it to the one a study has of it."""

import math
from collections.abc import Mapping
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
    state, value = _ended(row, reports)
    if row.distributions is not None:
        distributions = distributions_from(row.distributions)
    params = {name: v for name, v in row.params.items() if name in distributions}
    return optuna.create_trial(
        state=state,
        value=value,
        params=params,
        distributions={name: distributions[name] for name in params},
        intermediate_values=reports,
        user_attrs=dict(row.user_attrs),
        system_attrs=dict(row.system_attrs) | dict([NO_ROOM] if row.infeasible else []),
    )


def _ended(row: StoredTrial, reports: dict[int, float]) -> tuple[OptunaState, float | None]:
    """The state and the value: a pruned trial is worth its last report, a failed one nothing."""
    state = STATE_OF_INFEASIBLE if row.infeasible else STATES_IN_STUDY[row.state]
    value = row.value
    if state is OptunaState.PRUNED:
        value = next(reversed(reports.values()), None)
    if value is not None and not math.isfinite(value):
        value = None
    if state is OptunaState.COMPLETE and value is None:
        state = OptunaState.FAIL
    return state, value if state in (OptunaState.COMPLETE, OptunaState.PRUNED) else None
