"""The study of an objective: which parameters there are, it says itself while a trial runs."""

import json
import math
import warnings
from collections.abc import Mapping

from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import Trial

from models.hyperparameters import Config, Value
from tuner.search.answers import Suggestion
from tuner.search.study import JobStudy
from tuner.search.translation import FIXED, suggest


class ObjectiveStudy(JobStudy):
    """As `JobStudy`, but a trial begins without parameters, and asks for them one by one.

    A sampler that draws several at once does so at the trial's first question, not when the trial
    is made: it then knows of all that ended before, as in ``study.optimize``.
    """

    def _begin(self, number: int) -> None:
        super()._begin(number)
        self._at_work: dict[int, Trial] = {}

    def suggest(self, number: int, name: str, distribution: str) -> Suggestion:
        """The value of a parameter; of one that has a value, this value.

        `distribution` is Optuna's JSON of one.

        Raises:
            ValueError: it is none, or the name stood for something else before.
        """
        try:
            wanted = json_to_distribution(distribution)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: {distribution!r} is no distribution: {error}") from error
        with self._asking, warnings.catch_warnings():
            # What Optuna warns of here, the worker's Optuna has warned of, in the trial's log.
            warnings.simplefilter("ignore")
            # Of the trials that ended while another thread was asked, this one knows nothing yet:
            # samplers read a list that Optuna keeps for each thread from one `ask` to the next.
            self._study._thread_local.cached_all_trials = None
            value = suggest(self._trial_at_work(number), name, wanted)
            trial = self._trial(number)
            return Suggestion(
                value=value,
                params=dict(trial.params),
                distributions={n: distribution_to_json(d) for n, d in trial.distributions.items()},
                system_attrs=self.attrs(number),
                study_attrs=self.study_attrs(),
            )

    def report(self, number: int, step: int, value: float) -> None:
        """Note the value of a step; of a trial that starts over, the newer one counts."""
        finite = value if math.isfinite(value) else math.nan
        self._storage.set_trial_intermediate_value(self._id(number), step, finite)

    def _trial_at_work(self, number: int) -> Trial:
        if number not in self._at_work:
            going_on = {n: t for n, t in self._at_work.items() if not self._is_over(n)}
            self._at_work = {**going_on, number: Trial(self._study, self._id(number))}
        return self._at_work[number]

    def _is_over(self, number: int) -> bool:
        return self._trial(number).state.is_finished()

    def _point(self, fixed: Config | None) -> dict[str, Value] | None:
        return None if fixed is None else dict(fixed)

    def _enqueued(self, point: Mapping[str, Value]) -> dict[str, Value]:
        trial = self._storage.create_new_trial(self._study_id)
        # As it comes back from the database, so that a study and its replay are equal.
        self._storage.set_trial_system_attr(trial, FIXED, json.loads(json.dumps(point)))
        return {}

    def _proposed(self) -> dict[str, Value]:
        self._storage.create_new_trial(self._study_id)
        return {}
