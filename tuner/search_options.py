"""What samplers and pruners may be told, and whether it is so; readable without Optuna."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tuner.errors import nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What an option must be: one of `choices`, a whole number in [low, high], or any number."""

    type: type
    low: int = 0
    #: What is above takes memory, or more than the machine's numbers.
    high: int = 2**31 - 1
    choices: tuple[Any, ...] = ()

    def complaint(self, value: object) -> str | None:
        """Why `value` is none; None if it is."""
        if self.choices:
            fits = any(type(value) is type(c) and value == c for c in self.choices)
            words = " or ".join(str(c).lower() for c in self.choices)
            return None if fits else f"must be {words}"
        if self.type is int:
            fits = isinstance(value, int) and not isinstance(value, bool)
            fits = fits and self.low <= value <= self.high  # type: ignore[operator]
            return None if fits else f"must be a whole number from {self.low} to {self.high}"
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        fits = fits and abs(value) <= sys.float_info.max  # type: ignore[arg-type]
        return None if fits else "must be a finite number"


_TRUTH: Final = Option(type=bool, choices=(True, False))
_COUNT: Final = Option(type=int, low=0)
_RESOURCE: Final = Option(type=int, low=1)
_NUMBER: Final = Option(type=float)
_TPE: Final = {
    "n_startup_trials": _COUNT,
    "n_ei_candidates": Option(type=int, low=1, high=10_000),
    "multivariate": _TRUTH,
    "group": _TRUTH,
}
_HALVING: Final = {"min_resource": _RESOURCE, "reduction_factor": Option(type=int, low=2)}
_GENETIC: Final = {"population_size": Option(type=int, low=2, high=100_000)}
_MEDIAN: Final = {"n_startup_trials": _COUNT, "n_warmup_steps": _COUNT}

#: Name of a sampler or a pruner → what it may be told; all others take nothing.
SAMPLER_OPTIONS: Final[Mapping[str, Mapping[str, Option]]] = {
    "auto": _TPE,
    "tpe": _TPE,
    "qmc": {
        "qmc_type": Option(type=str, choices=("sobol", "halton")),
        "scramble": _TRUTH,
    },
    "cmaes": {"n_startup_trials": _COUNT, "popsize": Option(type=int, low=5, high=10_000)},
    "gp": {"n_startup_trials": _COUNT, "deterministic_objective": _TRUTH},
    "nsga2": _GENETIC,
    "nsga3": _GENETIC,
}
PRUNER_OPTIONS: Final[Mapping[str, Mapping[str, Option]]] = {
    "asha": _HALVING,
    "hyperband": _HALVING,
    "median": _MEDIAN,
    "patient": {"patience": _COUNT, **_MEDIAN},
    "threshold": {"lower": _NUMBER, "upper": _NUMBER, "n_warmup_steps": _COUNT},
}


def complaint_about_sampler(name: str, options: Mapping[str, Any]) -> str | None:
    """What is wrong with what the sampler of this name is told, and the remedy."""
    complaint = _complaint(name, options, SAMPLER_OPTIONS.get(name, {}))
    if complaint is None and options.get("group") and not options.get("multivariate", True):
        return "group wants multivariate; leave out one of them"
    return complaint


def complaint_about_pruner(name: str, options: Mapping[str, Any]) -> str | None:
    """What is wrong with what the pruner of this name is told, and the remedy."""
    complaint = _complaint(name, options, PRUNER_OPTIONS.get(name, {}))
    if complaint is not None or name != "threshold":
        return complaint
    if not options.keys() & {"lower", "upper"}:
        return "threshold wants lower or upper in pruner_options: values beyond them end a trial"
    if options.get("lower", -math.inf) > options.get("upper", math.inf):
        return "lower must not be above upper; swap them"
    return None


def _complaint(name: str, options: Mapping[str, Any], known: Mapping[str, Option]) -> str | None:
    for key, value in options.items():
        if key not in known:
            remedy = nearest(key, tuple(known)).rstrip(".?") if known else "leave it out"
            return f"{name} takes no {key!r}, {remedy}"
        complaint = known[key].complaint(value)
        if complaint is not None:
            return f"{key} = {value!r} {complaint}"
    return None
