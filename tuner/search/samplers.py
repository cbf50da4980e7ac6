"""Which Optuna sampler each name of the spec means."""

import warnings
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.samplers._tpe import _truncnorm
from scipy.special import log_ndtr

# Optuna computes this function of arrays in Python, a number at a time, which is a third of a
# proposal's cost; SciPy's agrees to the last digits. An Optuna without it is left as it is.
if hasattr(_truncnorm, "_log_ndtr"):
    _truncnorm._log_ndtr = log_ndtr

#: Samplers that learn from a trial that violates a constraint. Optuna's others look at completed
#: trials only, or warn.
LEARNS_CONSTRAINTS: Final = frozenset({"auto", "tpe"})


def make_sampler(name: str, *, seed: int, number: int, many_at_once: bool = False) -> BaseSampler:
    """The sampler of a job with this seed whose next trial has this number.

    A sampler that starts at a later trial draws other random numbers than one that starts at
    trial 0: with the same ones it would propose the first points again. With `many_at_once` TPE
    takes what is being tried for bad, so that it does not propose its neighbourhood once more.
    """
    if many_at_once and FACTORIES[name] is _tpe:
        return _tpe(seed, _seed_from(seed, number), constant_liar=True)
    with warnings.catch_warnings():
        # QMC is called experimental at its construction; we have tested what we use of it.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return FACTORIES[name](seed, _seed_from(seed, number))


def _seed_from(seed: int, number: int) -> int:
    if number == 0:
        return seed
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def _tpe(seed: int, reseed: int, *, constant_liar: bool = False) -> BaseSampler:
    return TPESampler(seed=reseed, multivariate=True, constant_liar=constant_liar)


def _random(seed: int, reseed: int) -> BaseSampler:
    return RandomSampler(seed=reseed)


def _qmc(seed: int, reseed: int) -> BaseSampler:
    # The sequence keeps the job's seed: the study's attributes hold the place in it.
    return QMCSampler(
        seed=seed,
        scramble=True,
        independent_sampler=RandomSampler(seed=reseed),
        warn_independent_sampling=False,
    )


def _cmaes(seed: int, reseed: int) -> BaseSampler:
    return CmaEsSampler(seed=reseed, warn_independent_sampling=False)


def _gp(seed: int, reseed: int) -> BaseSampler:
    return GPSampler(seed=reseed, warn_independent_sampling=False)


def _nsga2(seed: int, reseed: int) -> BaseSampler:
    return NSGAIISampler(seed=reseed)


#: Name in the spec → (the job's seed, the seed for fresh random numbers) → sampler.
#: A grid hands its points over as fixed ones, so its sampler has nothing left to choose.
FACTORIES: Final[Mapping[str, Callable[[int, int], BaseSampler]]] = {
    "auto": _tpe,
    "tpe": _tpe,
    "random": _random,
    "qmc": _qmc,
    "cmaes": _cmaes,
    "gp": _gp,
    "nsga2": _nsga2,
    "grid": _random,
}
