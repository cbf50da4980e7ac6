"""Our tables as a read-only Optuna storage, for the dashboard and for notebooks.

``optuna.load_study(study_name="job_01…", storage=tuner.storage_view.open_view())`` gives a study
that one can plot and analyse with everything Optuna has.
"""

import copy
import re
import threading
from collections import OrderedDict
from collections.abc import Container, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final, NoReturn

import sqlalchemy as sa
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tuner.db import Database, jobs, study_attrs, trials
from tuner.errors import TunerError
from tuner.schema import check
from tuner.search.frozen_trials import FrozenTrials
from tuner.settings import Settings
from tuner.states import Direction

#: Finished trials kept in memory, of all studies together; about 5 kB each.
MOST_CACHED_TRIALS: Final = 50_000

_DIRECTIONS: Final = {
    Direction.MAXIMIZE: StudyDirection.MAXIMIZE,
    Direction.MINIMIZE: StudyDirection.MINIMIZE,
}
#: Where `Study.metric_names` looks, and with it the plots' axes.
_METRIC_NAMES: Final = "study:metric_names"
_LISTED: Final = (
    jobs.c.id,
    jobs.c.ulid,
    jobs.c.name,
    jobs.c.state,
    *(jobs.c.spec[way].as_string().label(way) for way in ("model", "objective")),
    jobs.c.plan["metric"].as_string().label("metric"),
    jobs.c.plan["direction"].as_string().label("direction"),
    jobs.c.plan["others"].label("others"),
)


class StudyIsReadOnly(TunerError):
    """A job's study was to be changed through Optuna."""

    hint = "Change the job through the API or the command line."

    def __init__(self, what: str) -> None:
        super().__init__(f"This view of the jobs is read-only; {what} is refused.")
        self.what = what


def open_view(url: str | None = None) -> "StorageView":
    """A view of the database at `url`, by default that of the settings (``TUNER_*``).

    Raises:
        SchemaMismatch: the database does not hold this version's tables.
        StoreUnavailable: the database does not answer.
    """
    database = Database(url or Settings().url)
    with ExitStack() as undo:
        undo.callback(database.close)
        check(database)
        undo.pop_all()
    return StorageView(database)


class StorageView(BaseStorage):
    """Jobs as studies, trials as trials. Thread-safe.

    A study is called ``name (job_01…)``, and is found by its job id alone too. Finished trials
    never change, so each is read once; a further look reads only what goes on or is new.
    """

    def __init__(self, database: Database, *, most_cached_trials: int = MOST_CACHED_TRIALS) -> None:
        self._database = database
        self._most_cached_trials = most_cached_trials
        self._lock = threading.Lock()
        self._cached: OrderedDict[int, FrozenTrials] = OrderedDict()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def get_study_id_from_name(self, study_name: str) -> int:
        """The job's integer id."""
        match = re.search(r"\((job_\w+)\)$", study_name)
        ulid = match.group(1) if match else study_name
        with self._database.reading() as connection:
            found = connection.execute(sa.select(jobs.c.id).where(jobs.c.ulid == ulid)).scalar()
        if found is None:
            raise KeyError(f"No job {study_name}.")
        return int(found)

    def get_study_name_from_id(self, study_id: int) -> str:
        """``name (job_01…)``."""
        return self._study(study_id).study_name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """One for each metric of the job."""
        return self._study(study_id).directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """What the job is about: its id, name, state, model and metric."""
        return self._study(study_id).user_attrs

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """The metric's name and the sampler's notes on the study."""
        query = sa.select(study_attrs.c.key, study_attrs.c.value).where(
            study_attrs.c.job_id == study_id
        )
        system_attrs = self._study(study_id).system_attrs
        with self._database.reading() as connection:
            return system_attrs | {row.key: row.value for row in connection.execute(query)}

    def get_all_studies(self) -> list[FrozenStudy]:
        """All jobs, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(*_LISTED).order_by(jobs.c.id.desc())).all()
        return [_frozen_study(row) for row in rows]

    def _study(self, study_id: int) -> FrozenStudy:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(*_LISTED).where(jobs.c.id == study_id)).first()
        if row is None:
            raise KeyError(f"No study with study_id {study_id} exists.")
        return _frozen_study(row)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The trial of this integer id."""
        query = sa.select(trials.c.job_id, trials.c.number).where(trials.c.id == trial_id)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is not None:
            with suppress(KeyError):
                return self._current(row.job_id)[row.number]
        raise KeyError(f"No trial with trial_id {trial_id} exists.")

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[OptunaState] | None = None,
    ) -> list[FrozenTrial]:
        """The job's trials by number; without `deepcopy` they must not be changed."""
        current = self._current(study_id)
        found = [t for t in current.values() if states is None or t.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """The completed trial with the best value, the lower number if equal.

        Trials with a constraint above zero count only where there are no others.

        Raises:
            ValueError: no trial is completed.
        """
        completed = self.get_all_trials(study_id, deepcopy=False, states=(OptunaState.COMPLETE,))
        if not completed:
            raise ValueError("No trials are completed yet.")
        feasible = [t for t in completed if all(c <= 0 for c in t.constraints.values())]
        maximize = self.get_study_directions(study_id)[0] is StudyDirection.MAXIMIZE
        sign = -1 if maximize else 1
        return min(feasible or completed, key=lambda t: sign * (t.value or 0.0))

    def _current(self, study_id: int) -> dict[int, FrozenTrial]:
        """The trials of a job as they are now, by number."""
        with self._lock:
            cached = self._cached.get(study_id)
            if cached is None:
                cached = self._cached[study_id] = FrozenTrials(self._database, study_id)
            self._cached.move_to_end(study_id)
        # Outside the lock: the first look at a large study takes seconds.
        current = cached.refreshed()
        self._drop_the_longest_unseen()
        return current

    def _drop_the_longest_unseen(self) -> None:
        with self._lock:
            held = sum(len(cached) for cached in self._cached.values())
            while held > self._most_cached_trials and len(self._cached) > 1:
                _, dropped = self._cached.popitem(last=False)
                held -= len(dropped)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Refused."""
        _refuse("a new study")

    def delete_study(self, study_id: int) -> None:
        """Refused."""
        _refuse("the deletion of a study")

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Refused."""
        _refuse("a study's attribute")

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Refused."""
        _refuse("a study's attribute")

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Refused."""
        _refuse("a new trial")

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Refused."""
        _refuse("a trial's parameter")

    def set_trial_state_values(
        self, trial_id: int, state: OptunaState, values: Sequence[float] | None = None
    ) -> bool:
        """Refused."""
        _refuse("a trial's state")

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Refused."""
        _refuse("a trial's report")

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Refused."""
        _refuse("a trial's attribute")

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Refused."""
        _refuse("a trial's attribute")


def _refuse(what: str) -> NoReturn:
    raise StudyIsReadOnly(what)


def _frozen_study(row: sa.Row[*tuple[Any, ...]]) -> FrozenStudy:
    # The dashboard puts the name into a header of its CSV answer, where only ASCII may stand.
    metrics = {row.metric: row.direction, **(row.others or {})}
    name = "".join(c if c.isascii() and c.isprintable() else "_" for c in row.name)
    return FrozenStudy(
        study_name=f"{name} ({row.ulid})",
        direction=None,
        directions=[_DIRECTIONS.get(way, StudyDirection.NOT_SET) for way in metrics.values()],
        user_attrs={
            "job": row.ulid,
            "name": row.name,
            "state": row.state,
            **({"objective": row.objective} if row.model is None else {"model": row.model}),
            "metric": row.metric,
        },
        system_attrs={_METRIC_NAMES: list(metrics)},
        study_id=row.id,
    )
