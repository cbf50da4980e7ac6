"""Which Optuna sampler each name of the spec means."""

import warnings
from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
)
from optuna.samplers._tpe import _truncnorm
from scipy.special import log_ndtr

from models.hyperparameters import When
from tuner.parameters import contains
from tuner.search.auto import AutoSampler
from tuner.search.tpe import BriefTPE
from tuner.search.translation import distributions_of, told
from tuner.space import Space

# Optuna computes this function of arrays in Python, a number at a time, which is a third of a
# proposal's cost; SciPy's agrees to the last digits. An Optuna without it is left as it is.
if hasattr(_truncnorm, "_log_ndtr"):
    _truncnorm._log_ndtr = log_ndtr

#: Samplers that learn from a trial that violates a constraint. Optuna's others look at completed
#: trials only, or warn.
LEARNS_CONSTRAINTS: Final = frozenset({"auto", "tpe"})


class _Factory(Protocol):
    def __call__(self, seed: int, reseed: int, **options: Any) -> BaseSampler: ...


def make_sampler(
    name: str,
    *,
    space: Space,
    seed: int,
    number: int,
    many_at_once: bool = False,
    options: Mapping[str, Any] | None = None,
) -> BaseSampler:
    """The sampler of a job with this space and seed whose next trial has this number.

    A sampler that starts at a later trial draws other random numbers than one that starts at
    trial 0: with the same ones it would propose the first points again. With `many_at_once` TPE
    takes what is being tried for bad, so that it does not propose its neighbourhood once more;
    `auto` always heeds it. `options` are a spec's.
    """
    told = dict(options or {})
    if name == "tpe":
        told["constant_liar"] = many_at_once
    if name == "auto":
        told["space"] = space
    with warnings.catch_warnings():
        # Some are called experimental at their construction; we have tested what we use of them.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return FACTORIES[name](seed, _seed_from(seed, number), **told)


def _seed_from(seed: int, number: int) -> int:
    if number == 0:
        return seed
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


def _auto(seed: int, reseed: int, **options: Any) -> BaseSampler:
    space: Space = options.pop("space")
    conditions = {p.name: [_told(space, w) for w in p.when] for p in space.searched if p.when}
    return AutoSampler(seed, reseed, distributions_of(space), conditions, **options)


def _told(space: Space, when: When) -> When:
    """The condition in the words a study is told, without values that its parameter never has."""
    ruler = space[when.parameter]
    values = tuple(told(ruler, value) for value in when.values if contains(ruler, value))
    return When(parameter=when.parameter, values=values)


def _tpe(seed: int, reseed: int, **options: Any) -> BaseSampler:
    return BriefTPE(seed=reseed, **options)


def _random(seed: int, reseed: int, **options: Any) -> BaseSampler:
    return RandomSampler(seed=reseed)


def _qmc(seed: int, reseed: int, **options: Any) -> BaseSampler:
    # The sequence keeps the job's seed: the study's attributes hold the place in it.
    return QMCSampler(
        seed=seed,
        independent_sampler=RandomSampler(seed=reseed),
        warn_independent_sampling=False,
        **{"scramble": True, **options},
    )


def _cmaes(seed: int, reseed: int, **options: Any) -> BaseSampler:
    return CmaEsSampler(seed=reseed, warn_independent_sampling=False, **options)


def _gp(seed: int, reseed: int, **options: Any) -> BaseSampler:
    return GPSampler(seed=reseed, warn_independent_sampling=False, **options)


def _nsga2(seed: int, reseed: int, **options: Any) -> BaseSampler:
    return NSGAIISampler(seed=reseed, **options)


def _nsga3(seed: int, reseed: int, **options: Any) -> BaseSampler:
    return NSGAIIISampler(seed=reseed, **options)


#: Name in the spec → (the job's seed, the seed for fresh random numbers, options) → sampler.
#: A grid hands its points over as fixed ones, so its sampler has nothing left to choose.
FACTORIES: Final[Mapping[str, _Factory]] = {
    "auto": _auto,
    "tpe": _tpe,
    "random": _random,
    "qmc": _qmc,
    "cmaes": _cmaes,
    "gp": _gp,
    "nsga2": _nsga2,
    "nsga3": _nsga3,
    "grid": _random,
    "brute_force": _random,
}
