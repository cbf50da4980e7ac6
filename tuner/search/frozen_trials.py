"""The trials of one job as Optuna's frozen trials, each finished one read once."""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tuner.db import Database, jobs, metrics, trials
from tuner.search.translation import FIXED, distributions_from, distributions_shown, meant_by
from tuner.space import Space
from tuner.states import TrialState

#: Trials read in one transaction: on SQLite a writer waits for open readers.
PAGE: Final = 500

_STATES: Final[Mapping[TrialState, OptunaState]] = {
    TrialState.QUEUED: OptunaState.WAITING,
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.PAUSED: OptunaState.RUNNING,
    TrialState.COMPLETED: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.CANCELLED: OptunaState.FAIL,
}
_COLUMNS: Final = (
    trials.c.id,
    trials.c.number,
    trials.c.state,
    trials.c.params,
    trials.c.source,
    trials.c.system_attrs,
    trials.c.value,
    trials.c.attempts,
    trials.c.reason,
    trials.c.started_at,
    trials.c.created_at,
    trials.c.finished_at,
    trials.c.distributions,
    trials.c.user_attrs,
    trials.c["values"].label("values_told"),
)


class FrozenTrials:
    """A job's trials, kept and brought up to date. Thread-safe."""

    def __init__(self, database: Database, job: int) -> None:
        self._database = database
        self._job = job
        self._lock = threading.Lock()
        self._ulid: str | None = None
        self._metric = ""
        self._space = Space(())
        self._distributions: Mapping[str, BaseDistribution] = {}
        self._known: dict[int, FrozenTrial] = {}
        self._unfinished: set[int] = set()

    def __len__(self) -> int:
        return len(self._known)

    def refreshed(self) -> dict[int, FrozenTrial]:
        """All trials as the tables have them now, by number; they must not be changed.

        Raises:
            KeyError: there is no such job.
        """
        with self._lock:
            self._read_plan()
            unfinished = sorted(self._unfinished)
            newest = next(reversed(self._known), -1)
            for numbers in _pages(unfinished):
                self._read(trials.c.number.in_(numbers))
            while self._read(trials.c.number > newest) == PAGE:
                newest = next(reversed(self._known))
            return dict(self._known)

    def _read_plan(self) -> None:
        """Make sure that the job is still the one known: SQLite gives a freed id away again."""
        with self._database.reading() as connection:
            ulid = connection.execute(sa.select(jobs.c.ulid).where(jobs.c.id == self._job)).scalar()
            if ulid is None:
                raise KeyError(f"No study with study_id {self._job} exists.")
            if ulid == self._ulid:
                return
            plan = connection.execute(
                sa.select(jobs.c.plan).where(jobs.c.id == self._job)
            ).scalar_one()
        self._ulid = ulid
        self._metric = plan["metric"]
        self._space = Space.from_json(plan["space"])
        self._distributions = distributions_shown(self._space)
        self._known = {}
        self._unfinished = set()

    def _read(self, wanted: sa.ColumnElement[bool]) -> int:
        """Read up to a page of trials; how many they were."""
        query = sa.select(*_COLUMNS).where(trials.c.job_id == self._job, wanted)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(trials.c.number).limit(PAGE)).all()
            curves = self._curves(connection, [row.id for row in rows])
        for row in rows:
            frozen = self._frozen(row, curves.get(row.id, {}))
            self._known[row.number] = frozen
            if frozen.state.is_finished():
                self._unfinished.discard(row.number)
            else:
                self._unfinished.add(row.number)
        return len(rows)

    def _curves(
        self, connection: sa.Connection, trial_ids: Sequence[int]
    ) -> dict[int, dict[int, float]]:
        """Step → value of the job's metric, for each trial."""
        value = metrics.c["values"][self._metric].as_float()
        query = (
            sa.select(metrics.c.trial_id, metrics.c.step, value)
            .where(metrics.c.trial_id.in_(trial_ids))
            .order_by(metrics.c.trial_id, metrics.c.step)
        )
        curves: dict[int, dict[int, float]] = {}
        for trial_id, step, reported in connection.execute(query):
            # A value that was not finite is stored as null.
            curves.setdefault(trial_id, {})[step] = math.nan if reported is None else reported
        return curves

    def _frozen(self, row: sa.Row[*tuple[Any, ...]], curve: dict[int, float]) -> FrozenTrial:
        state = _STATES[TrialState(row.state)]
        value = _value(state, row.value, curve)
        if state is OptunaState.COMPLETE and value is None and row.values_told is None:
            state = OptunaState.FAIL
        several = row.values_told if state is OptunaState.COMPLETE else None
        waiting = state is OptunaState.WAITING
        distributions = self._distributions
        if row.distributions is not None:
            distributions = distributions_from(row.distributions)
        params = {name: v for name, v in row.params.items() if name in distributions}
        user_attrs = {**(row.user_attrs or {}), "source": row.source, "attempts": row.attempts}
        return FrozenTrial(
            number=row.number,
            trial_id=row.id,
            state=state,
            value=None if several else value,
            values=several,
            datetime_start=None if waiting else _local(row.started_at or row.created_at),
            datetime_complete=_local(row.finished_at or row.created_at)
            if state.is_finished()
            else None,
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs=user_attrs | ({"reason": row.reason} if row.reason else {}),
            system_attrs=self._shown(row.system_attrs) | _constraints(row.system_attrs),
            intermediate_values=curve,
        )

    def _shown(self, system_attrs: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes, with the values of what was enqueued as people know them."""
        if FIXED not in system_attrs:
            return dict(system_attrs)
        return {**system_attrs, FIXED: meant_by(self._space, system_attrs[FIXED])}


def _pages(numbers: Sequence[int]) -> Iterator[list[int]]:
    rest = iter(numbers)
    while page := list(islice(rest, PAGE)):
        yield page


def _value(state: OptunaState, value: float | None, curve: Mapping[int, float]) -> float | None:
    match state:
        case OptunaState.COMPLETE:
            return value if value is not None and math.isfinite(value) else None
        case OptunaState.PRUNED:
            # As Optuna has it: a pruned trial is worth its last report.
            last = curve[max(curve)] if curve else math.nan
            return None if math.isnan(last) else last
        case _:
            return None


def _constraints(system_attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The list in which the dashboard looks for constraints; Optuna has one key for each."""
    values = [v for key, v in system_attrs.items() if key.startswith("constraints:")]
    return {"constraints": values} if values else {}


def _local(moment: datetime) -> datetime:
    """Optuna's datetimes are naive and in local time."""
    return moment.astimezone().replace(tzinfo=None)
