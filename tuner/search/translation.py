"""Our parameters and states in Optuna's words."""

from collections.abc import Mapping
from typing import Any, Final

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)
from optuna.trial import Trial
from optuna.trial import TrialState as OptunaState

from models.hyperparameters import Choice, Config, Fixed, Hyperparameter, Integer, Real, Value
from tuner.parameters import place_of
from tuner.planning.finiteness import top_of
from tuner.space import Space, is_active
from tuner.states import TrialState

#: How our trials stand in a study that goes on.
STATES_IN_STUDY: Final[Mapping[TrialState, OptunaState]] = {
    # Whatever has no end yet counts as running: the sampler keeps away from it.
    TrialState.QUEUED: OptunaState.RUNNING,
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.PAUSED: OptunaState.RUNNING,
    TrialState.COMPLETED: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.CANCELLED: OptunaState.FAIL,
}

#: Where Optuna keeps what an enqueued trial is to get, in the trial's system attributes.
FIXED: Final = "fixed_params"
#: A trial that there is no room for is one that violates a constraint: samplers that heed
#: constraints look at completed and pruned trials only, and rank such a one below all others.
STATE_OF_INFEASIBLE: Final = OptunaState.PRUNED
#: The attribute of such a trial that says so; above 0 is violated.
NO_ROOM: Final = ("constraints:room", 1.0)


def distribution_of(parameter: Hyperparameter) -> BaseDistribution:
    """The distribution of exactly the values of `parameter`; of an ordered one, of its places."""
    match parameter:
        case Real():
            return FloatDistribution(
                parameter.low, top_of(parameter), log=parameter.log, step=parameter.step
            )
        case Integer():
            top = parameter.high - (parameter.high - parameter.low) % parameter.step
            return IntDistribution(parameter.low, top, log=parameter.log, step=parameter.step)
        case Choice(ordered=True):
            return IntDistribution(0, len(parameter.choices) - 1)
        case Choice():
            return CategoricalDistribution(parameter.choices)
        case Fixed():
            return CategoricalDistribution((parameter.value,))


def distributions_of(space: Space) -> Mapping[str, BaseDistribution]:
    """The distributions of all searched parameters; what has one value is no matter of Optuna."""
    return {p.name: distribution_of(p) for p in space.searched}


def distributions_shown(space: Space) -> Mapping[str, BaseDistribution]:
    """As `distributions_of`, but of ordered parameters the values: what people see of a study."""
    return {
        p.name: CategoricalDistribution(p.choices) if isinstance(p, Choice) else distribution_of(p)
        for p in space.searched
    }


def told_of(
    space: Space, distributions: Mapping[str, BaseDistribution], config: Config
) -> dict[str, Value]:
    """What of `config` a study is told: the searched values, of ordered parameters the places."""
    return {
        p.name: told(p, config[p.name])
        for p in space.parameters
        if p.name in config and p.name in distributions
    }


def told(parameter: Hyperparameter, value: Value) -> Value:
    """What a study is told of a value; see `told_of`."""
    if isinstance(parameter, Choice) and parameter.ordered:
        return place_of(parameter, value)
    return value


def meant(parameter: Hyperparameter, told: Value) -> Value:
    """The value of which a study was told so; see `told_of`."""
    if isinstance(parameter, Choice) and parameter.ordered:
        return parameter.choices[int(told)]
    return told


def meant_by(space: Space, told: Mapping[str, Any]) -> dict[str, Any]:
    """The values of which a study was told so; of what is none of the space's, as they are."""
    known = {parameter.name: parameter for parameter in space.searched}
    return {name: meant(known[name], v) if name in known else v for name, v in told.items()}


def suggested(
    trial: Trial, space: Space, distributions: Mapping[str, BaseDistribution]
) -> dict[str, Value]:
    """The configuration that the sampler has for `trial`."""
    config: dict[str, Value] = {}
    for parameter in space.parameters:
        name = parameter.name
        if not is_active(parameter, config):
            continue
        if name in distributions:
            config[name] = meant(parameter, suggest(trial, name, distributions[name]))
        else:
            config[name] = only_value(parameter)
    return config


def distributions_from(documents: Mapping[str, str]) -> Mapping[str, BaseDistribution]:
    """The distributions that Optuna's own JSON tells of, by name."""
    return {name: json_to_distribution(text) for name, text in documents.items()}


def suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    """The value the trial gets for a parameter of this distribution."""
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return float(trial.suggest_float(name, low, high, log=log, step=step))
        case IntDistribution(low=low, high=high, log=log, step=step):
            return int(trial.suggest_int(name, low, high, log=log, step=step))
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise TypeError(f"{name} has {distribution!r}, which no parameter of ours means.")


def only_value(parameter: Hyperparameter) -> Value:
    """The value of a parameter that has one value only."""
    match parameter:
        case Fixed():
            return parameter.value
        case Choice():
            return parameter.choices[0]
        case Integer() | Real():
            return parameter.low
