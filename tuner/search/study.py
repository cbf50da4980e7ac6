"""The study of one active job: what to try next, what to stop. Everything Optuna is behind it."""

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, Final

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from models.hyperparameters import Config, Value
from tuner.planning.feasibility import Feasible, everything_feasible, pulled_to_feasible
from tuner.planning.finiteness import endless
from tuner.search.answers import Proposal, PruneDecision, Remarks
from tuner.search.auto import HOW
from tuner.search.grid import SpaceExhausted
from tuner.search.memory import CorrectableStorage
from tuner.search.pruners import make_pruner, reason_of
from tuner.search.replaying import StoredTrial, replayed, usable
from tuner.search.samplers import LEARNS_CONSTRAINTS, make_sampler
from tuner.search.translation import (
    NO_ROOM,
    STATE_OF_INFEASIBLE,
    STATES_IN_STUDY,
    distributions_of,
    meant_by,
    suggested,
    told_of,
)
from tuner.search.untried import Tried, untried
from tuner.search_spec import Search
from tuner.space import Space
from tuner.states import Direction, TrialState

#: Proposals in a row that count as tried before the sampler is asked no more.
MOST_REPEATED: Final = 8
#: Samplers that are the order in which a grid is gone through, and nothing else.
GRIDS: Final = frozenset({"grid", "brute_force"})


class JobStudy:
    """The in-memory Optuna study of one job.

    `ask` may go on in one thread while another reports, prunes and tells. Trials are numbered from
    0 in the order of asks. All attributes it hands out are plain JSON.
    """

    def __init__(
        self,
        *,
        job: str,
        space: Space,
        directions: Sequence[Direction],
        search: Search,
        epochs: int | None,
        seed: int,
        feasible: Feasible = everything_feasible,
        default_config: Config | None = None,
    ) -> None:
        self.job = job
        self.space = space
        self._directions = [StudyDirection[direction.name] for direction in directions]
        self._search = search
        self._learns_constraints = search.sampler in LEARNS_CONSTRAINTS
        self._epochs = epochs
        self._seed = seed
        self._sampler = partial(
            make_sampler, search.sampler, space=space, seed=seed, options=search.sampler_options
        )
        # Where nothing is searched, somebody wants the same several times.
        self._avoids = search.duplicates == "avoid" and bool(space.searched)
        self._has_end = search.sampler != "grid" and endless(space) is None
        self._feasible = feasible
        self._default = space.complete(default_config or {})
        self._distributions = distributions_of(space)
        self._asking = threading.Lock()
        self._begin(0)

    def _begin(self, number: int) -> None:
        """An empty study whose next ask of the sampler will be for trial `number`."""
        self._many_at_once = False
        # What Optuna logs, our rows and events say with the job's name.
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._storage = CorrectableStorage()
        self._study = optuna.create_study(
            study_name=self.job,
            storage=self._storage,
            directions=self._directions,
            sampler=self._sampler(number=number),
            pruner=make_pruner(
                self._search.pruner, epochs=self._epochs, options=self._search.pruner_options
            ),
        )
        self._study_id = self._storage.get_study_id_from_name(self.job)
        self._tried = Tried(self.space, remembers=self._avoids or self._search.sampler in GRIDS)
        self._untried = untried(
            self.space, self._tried, self._feasible, seed=self._seed, whole=self._has_end
        )
        # Hyperband makes its brackets at its first judgement, and not safely in two threads.
        blank = optuna.create_trial(state=OptunaState.RUNNING)
        self._study.pruner.prune(self._study, blank)

    def ask(self, fixed: Config | None = None, *, many_at_once: bool = False) -> Proposal:
        """The next configuration; `fixed` gives its parameters, completed by the defaults.

        With `many_at_once` a sampler that can keeps away from what is being tried.

        What the sampler proposes is pulled towards the default configuration until it is feasible,
        and gives way to what was not tried yet; what `fixed` says is taken as it is. If it raises,
        the study is as before.

        Raises:
            SpaceExhausted: every configuration of the space, or of its grid, was tried.
        """
        with self._asking, ExitStack() as undo:
            number = self._storage.get_n_trials(self._study_id)
            undo.callback(self._storage.withdraw_from, self._study_id, number)
            if many_at_once != self._many_at_once:
                self._study.sampler = self._sampler(number=number, many_at_once=many_at_once)
                self._many_at_once = many_at_once
            point = self._point(fixed)
            params = self._proposed() if point is None else self._enqueued(point)
            undo.pop_all()
            self._tried.begin(number, params)
            attrs = self.attrs(number)
            return Proposal(
                number=number,
                params=params,
                system_attrs=attrs,
                how=attrs.get(HOW),
                study_attrs=self.study_attrs(),
            )

    def _point(self, fixed: Config | None) -> dict[str, Value] | None:
        if fixed is not None:
            return self.space.complete(fixed)
        if self._search.sampler not in GRIDS:
            return None
        point = next(self._untried, None)
        if point is None:
            raise SpaceExhausted(self.job)
        return point

    def _enqueued(self, point: Mapping[str, Value]) -> dict[str, Value]:
        self._study.enqueue_trial(told_of(self.space, self._distributions, point))
        return suggested(self._study.ask(), self.space, self._distributions)

    def _proposed(self) -> dict[str, Value]:
        """What the sampler proposes beside what counts as tried, if it can be had."""
        for _ in range(MOST_REPEATED if self._distributions else 0):
            number = self._storage.get_n_trials(self._study_id)
            params = self._sampled()
            if params not in self._tried:
                return params
            self._storage.withdraw_from(self._study_id, number)
        if self._avoids:
            point = next(self._untried, None)
            if point is not None:
                return self._enqueued(point)
            if self._has_end:
                raise SpaceExhausted(self.job)
        return self._sampled()

    def _sampled(self) -> dict[str, Value]:
        trial = self._study.ask()
        params = suggested(trial, self.space, self._distributions)
        if self._feasible(params):
            return params
        params = pulled_to_feasible(self.space, params, self._default, self._feasible)
        searched = told_of(self.space, self._distributions, params)
        self._storage.replace_params(self._id(trial.number), searched, self._distributions)
        return params

    def report(self, number: int, step: int, value: float) -> None:
        """Note the metric's value of a step (from 1); the first value of a step stays."""
        trial = self._trial(number)
        if step not in trial.intermediate_values:
            finite = value if math.isfinite(value) else math.nan
            self._storage.set_trial_intermediate_value(self._id(number), step, finite)

    def should_prune(self, number: int, step: int) -> PruneDecision:
        """Whether to give the trial up after its report of `step`.

        Never in the last epoch, where nothing is left to save, nor at a step repeated after a
        loss, at which the trial was let go on before.
        """
        trial = self._trial(number)
        last = self._epochs is not None and step >= self._epochs
        if last or step != trial.last_step:
            return PruneDecision(prune=False)
        if not self._study.pruner.prune(self._study, trial):
            return PruneDecision(prune=False)
        unit = "step" if self._epochs is None else "epoch"
        return PruneDecision(prune=True, why=reason_of(self._search.pruner, trial, unit))

    def tell(
        self,
        number: int,
        state: TrialState,
        value: float | None = None,
        *,
        values: Sequence[float] | None = None,
        infeasible: bool = False,
    ) -> None:
        """End a trial: finished is final, a second word on it changes nothing.

        A completed trial without a finite value counts as failed; a pruned one has the value of
        its last report. An infeasible one tells the sampler, if it can learn, of no room.

        Raises:
            ValueError: `state` is not final.
        """
        ended = STATES_IN_STUDY[state]
        if not ended.is_finished():
            raise ValueError(f"Trial {number} cannot end as {state}.")
        told = usable(value, values)
        if ended is OptunaState.COMPLETE and told is None:
            ended = OptunaState.FAIL
        infeasible = infeasible and self._learns_constraints
        if infeasible and not self._trial(number).state.is_finished():
            ended = STATE_OF_INFEASIBLE
            self._storage.set_trial_system_attr(self._id(number), *NO_ROOM)
        if ended is not OptunaState.COMPLETE:
            told = None
        self._study.tell(number, told, ended, skip_if_finished=True)
        self._tried.end(number, cancelled=state is TrialState.CANCELLED)

    def attrs(self, number: int) -> dict[str, Any]:
        """The sampler's and the pruner's notes on a trial."""
        return dict(self._trial(number).system_attrs)

    def note(
        self, number: int, user_attrs: Mapping[str, Any], constraints: Mapping[str, float]
    ) -> Remarks:
        """Keep what an objective notes of its trial: all that is noted of it then."""
        for key, value in user_attrs.items():
            self._storage.set_trial_user_attr(self._id(number), key, value)
        for key, value in constraints.items():
            self._storage.set_trial_system_attr(self._id(number), f"constraints:{key}", value)
        noted = dict(self._trial(number).user_attrs)
        return Remarks(user_attrs=noted, system_attrs=self.attrs(number))

    def trials(self) -> list[FrozenTrial]:
        """All trials as they stand, by number; they must not be changed."""
        return self._study.get_trials(deepcopy=False)

    def params_of(self, trial: FrozenTrial) -> dict[str, Value]:
        """The searched parameters of a trial as our tables have them."""
        return meant_by(self.space, trial.params)

    def study_attrs(self) -> dict[str, Any]:
        """The sampler's notes on the whole study."""
        return dict(self._storage.get_study_system_attrs(self._study_id))

    def rebuild(self, trials: Iterable[StoredTrial], study_attrs: Mapping[str, Any]) -> None:
        """Replace the study by the replay of these rows, which are sorted by number.

        The sampler begins with fresh random numbers, so that it repeats no proposal. An ask under
        way is waited for; its proposal is forgotten unless it is among the rows.
        """
        rows = {trial.number: trial for trial in trials}
        following = max(rows, default=-1) + 1
        with self._asking:
            self._begin(following)
            for key, value in study_attrs.items():
                self._storage.set_study_system_attr(self._study_id, key, value)
            for number in range(following):
                self._storage.adopt(self._study_id, self._replayed(rows.get(number)))
            for row in rows.values():
                self._tried.begin(row.number, row.params)
                if STATES_IN_STUDY[row.state].is_finished():
                    self._tried.end(row.number, cancelled=row.state is TrialState.CANCELLED)

    def _replayed(self, row: StoredTrial | None) -> FrozenTrial:
        if row is None:
            return replayed(row, self._distributions)
        if row.distributions is None:
            row = replace(row, params=told_of(self.space, self._distributions, row.params))
        if not self._learns_constraints:
            row = replace(row, infeasible=False)
        return replayed(row, self._distributions)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _trial(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._id(number))
