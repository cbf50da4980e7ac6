"""Which Optuna pruner each name of the spec means, and its reasons in words."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
)
from optuna.trial import FrozenTrial

REDUCTION: Final = 3
STARTUP_TRIALS: Final = 5


def first_rung(epochs: int) -> int:
    """The first epoch at which a trial may be given up: a ninth of all, so that two rungs fit."""
    return max(1, math.ceil(epochs / REDUCTION**2))


def patience(epochs: int) -> int:
    """Epochs without a better value that the patient pruner waits: a fifth of all."""
    return max(2, epochs // 5)


def make_pruner(
    name: str, *, epochs: int | None, options: Mapping[str, Any] | None = None
) -> BasePruner:
    """The pruner of a job whose trials report once an epoch, at steps 1 to `epochs`.

    Where nobody knows how many steps there are it is Optuna's, as Optuna sets it by itself.
    What a spec's `options` say goes before both.
    """
    with warnings.catch_warnings():
        # The patient pruner is called experimental at its construction.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return FACTORIES[name](**(_defaults(name, epochs) | dict(options or {})))


def decisive_steps(
    name: str, *, epochs: int | None, options: Mapping[str, Any] | None = None
) -> tuple[int, ...] | None:
    """The steps at which the pruner of this name may give up a trial that reports every step.

    At all others it lets any trial go on, so that none needs to wait for what it says. None where
    every step's verdict may be to end it.
    """
    if name == "none":
        return ()
    if epochs is None:
        return None
    told = _defaults(name, epochs) | dict(options or {})
    if name in ("asha", "hyperband"):
        return _rungs(told["min_resource"], told["reduction_factor"], epochs)
    return tuple(range(max(1, told["n_warmup_steps"]), epochs + 1))


def _rungs(first: int, factor: int, epochs: int) -> tuple[int, ...]:
    rungs = []
    while first <= epochs:
        rungs.append(first)
        first *= factor
    return tuple(rungs)


def _defaults(name: str, epochs: int | None) -> dict[str, Any]:
    """What the pruner of this name is told where the spec says nothing."""
    if epochs is None:
        return {"patience": patience(0)} if name == "patient" else {}
    median = {"n_startup_trials": STARTUP_TRIALS, "n_warmup_steps": first_rung(epochs)}
    match name:
        case "asha":
            return {"min_resource": first_rung(epochs), "reduction_factor": REDUCTION}
        case "hyperband":
            return {"min_resource": 1, "max_resource": epochs, "reduction_factor": REDUCTION}
        case "median":
            return median
        case "patient":
            return {"patience": patience(epochs), **median}
        case "threshold":
            return {"n_warmup_steps": 1}
        case _:
            return {}


def _patient(*, patience: int, **median: Any) -> BasePruner:
    return PatientPruner(MedianPruner(**median), patience=patience)


#: Name in the spec → what makes the pruner.
FACTORIES: Final[Mapping[str, Callable[..., BasePruner]]] = {
    "asha": SuccessiveHalvingPruner,
    "hyperband": HyperbandPruner,
    "median": MedianPruner,
    "patient": _patient,
    "threshold": ThresholdPruner,
    "none": NopPruner,
}

_REASONS: Final[Mapping[str, str]] = {
    "asha": "is not among the best of the trials that came this far",
    "hyperband": "is not among the best of the trials of its bracket that came this far",
    "median": "and all before it are worse than the median of the completed trials",
    "patient": "and the epochs before it brought nothing better, and are worse than the median",
    "threshold": "is beyond what pruner_options allow",
}


def reason_of(name: str, trial: FrozenTrial, unit: str = "epoch") -> str:
    """Why the pruner of this name gives up `trial` at its newest report; steps are of a `unit`."""
    step = trial.last_step
    if step is None:
        raise ValueError(f"Trial {trial.number} has reported nothing.")
    value = trial.intermediate_values[step]
    if math.isnan(value):
        return f"{name}: the value of {unit} {step} is not a finite number"
    return f"{name}: {value:.6g} in {unit} {step} {_REASONS[name]}"
