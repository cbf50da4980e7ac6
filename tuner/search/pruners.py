"""Which Optuna pruner each name of the spec means, and its reasons in words."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Final

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    SuccessiveHalvingPruner,
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


def make_pruner(name: str, *, epochs: int | None) -> BasePruner:
    """The pruner of a job whose trials report once an epoch, at steps 1 to `epochs`.

    Where nobody knows how many steps there are it is Optuna's, as Optuna sets it by itself.
    """
    with warnings.catch_warnings():
        # The patient pruner is called experimental at its construction.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return OPTUNAS[name]() if epochs is None else FACTORIES[name](epochs)


def decisive_steps(name: str, *, epochs: int | None) -> tuple[int, ...] | None:
    """The steps at which the pruner of this name may give up a trial that reports every step.

    At all others it lets any trial go on, so that none needs to wait for what it says. None where
    every step's verdict may be to end it.
    """
    if name == "none":
        return ()
    if epochs is None:
        return None
    match name:
        case "asha":
            return _rungs(first_rung(epochs), epochs)
        case "hyperband":
            return _rungs(1, epochs)
        case _:
            return tuple(range(first_rung(epochs), epochs + 1))


def _rungs(first: int, epochs: int) -> tuple[int, ...]:
    rungs = []
    while first <= epochs:
        rungs.append(first)
        first *= REDUCTION
    return tuple(rungs)


def _asha(epochs: int) -> BasePruner:
    return SuccessiveHalvingPruner(min_resource=first_rung(epochs), reduction_factor=REDUCTION)


def _hyperband(epochs: int) -> BasePruner:
    return HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=REDUCTION)


def _median(epochs: int) -> BasePruner:
    return MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=first_rung(epochs))


def _patient(epochs: int) -> BasePruner:
    return PatientPruner(_median(epochs), patience=patience(epochs))


def _none(epochs: int) -> BasePruner:
    return NopPruner()


#: Name in the spec → epochs of a whole trial → pruner.
FACTORIES: Final[Mapping[str, Callable[[int], BasePruner]]] = {
    "asha": _asha,
    "hyperband": _hyperband,
    "median": _median,
    "patient": _patient,
    "none": _none,
}

#: The same, as Optuna makes them where it is told nothing.
OPTUNAS: Final[Mapping[str, Callable[[], BasePruner]]] = {
    "asha": SuccessiveHalvingPruner,
    "hyperband": HyperbandPruner,
    "median": MedianPruner,
    "patient": lambda: PatientPruner(MedianPruner(), patience=patience(0)),
    "none": NopPruner,
}

_REASONS: Final[Mapping[str, str]] = {
    "asha": "is not among the best third of the trials that came this far",
    "hyperband": "is not among the best third of the trials of its bracket that came this far",
    "median": "and all before it are worse than the median of the completed trials",
    "patient": "and the epochs before it brought nothing better, and are worse than the median",
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
