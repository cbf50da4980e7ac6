"""What the trials that ended are worth to a model: numbers that are sought low."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtri

Array = NDArray[np.float64]

#: States of trials that a model learns from.
ENDED: Final = (TrialState.COMPLETE, TrialState.PRUNED)


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether it violates no constraint."""
    return not any(violation > 0 for violation in trial.constraints.values())


def sign_of(study: Study) -> float:
    """What turns a value of the study's one objective into a loss."""
    return 1.0 if study.direction is StudyDirection.MINIMIZE else -1.0


def losses_of(trials: Sequence[FrozenTrial], sign: float) -> Array:
    """The value of each times `sign`; infinite where it violates a constraint or has none.

    A pruned trial's value is of an early step: it counts for no better than the middle one of those
    that were completed.
    """
    losses = np.array([sign * t.values[0] if t.values else np.inf for t in trials])
    feasible = np.array([is_feasible(t) for t in trials], dtype=bool)
    complete = np.array([t.state is TrialState.COMPLETE for t in trials], dtype=bool)
    whole = losses[complete & feasible]
    if len(whole):
        losses[~complete] = np.maximum(losses[~complete], np.median(whole))
    losses[~feasible | np.isnan(losses)] = np.inf
    return losses


def scores_of(losses: Array) -> Array:
    """Where each stands among the others, in normal scores of mean 0 and variance 1.

    So a loss and its logarithm lead to the same search, and one that exploded does no harm. All are
    0 where the losses are equal.
    """
    _, places, counts = np.unique(losses, return_inverse=True, return_counts=True)
    scores = ndtri((np.cumsum(counts) - counts / 2) / len(losses))[places]
    scores -= scores.mean()
    deviation = float(scores.std())
    return np.asarray(scores / deviation if deviation > 0 else np.zeros_like(scores))
