"""Optuna's storage in memory, with three verbs that Optuna itself does not have."""

import copy
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial


class CorrectableStorage(InMemoryStorage):
    """A storage of one study; thread-safe as its parent: trials are replaced, never changed.

    With one study a trial's id equals its number, also after a rebuild: NSGA-II notes parents by
    id in the study's attributes.
    """

    def adopt(self, study_id: int, trial: FrozenTrial) -> None:
        """Append a trial that nobody else holds.

        `create_new_trial` copies it deeply, which is two thirds of the time of a rebuild.
        """
        with self._lock:
            trials = self._studies[study_id].trials
            trial.number = trial._trial_id = self._max_trial_id = len(trials)
            self._trial_id_to_study_id_and_number[trial.number] = (study_id, trial.number)
            trials.append(trial)
            self._update_cache(trial.number, study_id)

    def withdraw_from(self, study_id: int, number: int) -> None:
        """Forget all trials from `number` on, so that the next one gets this number again."""
        with self._lock:
            trials = self._studies[study_id].trials
            for trial in trials[number:]:
                del self._trial_id_to_study_id_and_number[trial._trial_id]
            del trials[number:]
            self._max_trial_id = number - 1
            # Where the search for waiting trials begins.
            waiting = self._prev_waiting_trial_number
            waiting[study_id] = min(waiting[study_id], number)

    def replace_params(
        self,
        trial_id: int,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
    ) -> None:
        """Give an unfinished trial these parameters and no others."""
        with self._lock:
            trial = copy.copy(self._get_trial(trial_id))
            self.check_trial_is_updatable(trial_id, trial.state)
            trial.params = dict(params)
            trial.distributions = {name: distributions[name] for name in params}
            self._set_trial(trial_id, trial)
