"""What `sampler: auto` means: whichever model proposes best after so many trials."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial

from models.hyperparameters import When
from tuner.search.columns import Array, Columns, keys
from tuner.search.history import History
from tuner.search.improving import Improver
from tuner.search.losses import losses_of, scores_of, sign_of
from tuner.search.tpe import BriefTPE

#: Until so many trials have ended there is nothing to learn from.
FIRST: Final = 8
#: Once so many have ended TPE proposes: a process costs the cube of their number.
MOST_GAUSSIAN: Final = 100
#: Of trials under way the newest so many are kept away from: lanes may be thousands.
MOST_RUNNING: Final = 100
#: Points by chance, where the one whose turn it is was tried.
CHANCES: Final = 4

#: The attribute of a trial that says how it was proposed, and what it may say.
HOW: Final = "auto:how"
EVENLY: Final = "evenly spread"
GAUSSIAN: Final = "Gaussian process"
TPE: Final = "TPE"


class AutoSampler(BaseSampler):
    """First points that are evenly spread, then a Gaussian process, then TPE.

    `distributions` and `conditions` are those of a job's space, in the order of decision. Without
    them the parameters count that all trials so far have had, and TPE draws the others. Of several
    objectives TPE draws all. `options` are TPE's; `n_startup_trials` stands for `FIRST` as well.
    """

    def __init__(
        self,
        seed: int,
        reseed: int,
        distributions: Mapping[str, BaseDistribution] | None = None,
        conditions: Mapping[str, Sequence[When]] | None = None,
        **options: Any,
    ) -> None:
        self._seed = seed
        self._rng = np.random.default_rng(reseed)
        self._history = History()
        self._tpe = BriefTPE(seed=reseed, constant_liar=True, history=self._history, **options)
        self._first = options.get("n_startup_trials", FIRST)
        self._met = None if distributions else IntersectionSearchSpace(include_pruned=True)
        self._take(Columns(distributions or {}, conditions))

    def _take(self, columns: Columns) -> None:
        self._columns = columns
        self._improver = Improver(columns, self._rng)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        self._history.read(study)
        if self._is_for_tpe(study):
            return self._tpe.infer_relative_search_space(study, trial)
        if self._met is not None:
            met = self._met.calculate(study, use_cache=True)
            met = {name: of for name, of in met.items() if not of.single()}
            if met != self._columns.distributions:
                self._take(Columns(met))
        return dict(self._columns.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self._is_for_tpe(study):
            how, params = TPE, self._tpe.sample_relative(study, trial, search_space)
        elif search_space:
            how, row = self._by_columns(study, trial)
            params = self._columns.params(row)
        else:  # an objective's first trial
            return {}
        study._storage.set_trial_system_attr(trial._trial_id, HOW, how)
        return params

    def _is_for_tpe(self, study: Study) -> bool:
        return len(study.directions) > 1 or self._history.count >= MOST_GAUSSIAN

    def _by_columns(self, study: Study, trial: FrozenTrial) -> tuple[str, Array]:
        ended = self._history.ended()
        others = (t for t in self._history.running() if t.number != trial.number)
        running = self._rows([t for t in others if t.params][-MOST_RUNNING:])
        rows = self._rows(ended)
        tried = {*keys(rows), *keys(running)}
        if ended and len(ended) >= self._first:
            scores = scores_of(losses_of(ended, sign_of(study)))
            if scores.any():
                return GAUSSIAN, self._improver.row(rows, scores, running, tried)
        return EVENLY, self._evenly(trial.number, tried)

    def _rows(self, trials: Sequence[FrozenTrial]) -> Array:
        width = len(self._columns.distributions)
        return np.array([self._columns.row(t.params) for t in trials]).reshape(-1, width)

    def _evenly(self, number: int, tried: set[bytes]) -> Array:
        """The point of a quasi-random sequence that has this number; by chance if it was tried."""
        width = len(self._columns.distributions)
        start = np.random.default_rng(self._seed).random(width)
        point = (start + number * _steps(width)) % 1.0
        chance = self._rng.random((CHANCES, width))
        rows = self._columns.rows(np.vstack([point, chance]))
        return next(
            (row for row, key in zip(rows, keys(rows), strict=True) if key not in tried), rows[0]
        )

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._tpe.sample_independent(study, trial, param_name, param_distribution)


def _steps(width: int) -> Array:
    """From one point of the sequence to the next: powers of the golden ratio of so many dimensions.

    The ratio is what solves x ** (width + 1) = x + 1; in one dimension it is the golden one.
    """
    ratio = 2.0
    for _ in range(40):
        ratio = (1.0 + ratio) ** (1.0 / (width + 1))
    return np.asarray(ratio ** -np.arange(1.0, width + 1))
