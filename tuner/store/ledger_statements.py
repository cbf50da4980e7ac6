"""The ledger's statements, each made once: to make one costs as much as to execute two."""

from functools import cache
from typing import Final

import sqlalchemy as sa

from tuner.columns import UtcDateTime
from tuner.db import attempts, jobs, metrics, trials
from tuner.states import (
    ATTEMPT_NEXT,
    JOB_NEXT,
    LIVE_JOBS,
    TRIAL_NEXT,
    AttemptState,
    JobState,
    TrialState,
    sources_of,
)
from tuner.store.statements import insert_of, transition

#: Sets what else it is given in the trial `key`.
SET_TRIAL: Final = sa.update(trials).where(trials.c.id == sa.bindparam("key"))
#: The number of the job's last event, after `more` of them; and the row's version.
ADVANCE_EVENTS: Final = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("key"))
    .values(
        last_event=jobs.c.last_event + sa.bindparam("more", type_=sa.Integer),
        version=jobs.c.version + 1,
    )
    .returning(jobs.c.last_event, jobs.c.version)
)
#: The version of the job `key`, once nobody else is changing its row.
VERSION: Final = sa.select(jobs.c.version).where(jobs.c.id == sa.bindparam("key")).with_for_update()


@cache
def to_trial_state(target: TrialState) -> sa.Update:
    """Moves the trial `key` to `target`; with the time `now` where it begins to run."""
    statement = transition(trials, sources_of(target, TRIAL_NEXT))
    if target is TrialState.RUNNING:
        now = sa.bindparam("now", type_=UtcDateTime())
        return statement.values(started_at=sa.func.coalesce(trials.c.started_at, now))
    return statement


@cache
def to_attempt_state(target: AttemptState) -> sa.Update:
    """Moves the attempt `key` to `target`."""
    return transition(attempts, sources_of(target, ATTEMPT_NEXT))


@cache
def to_job_state(target: JobState) -> sa.Update:
    """Moves the job `key` to `target`, or changes it within a state; the row's new version."""
    statement = transition(jobs, sources_of(target, JOB_NEXT) | ({target} & LIVE_JOBS))
    return statement.values(version=jobs.c.version + 1).returning(jobs.c.version)


@cache
def insert_steps(dialect: str) -> sa.Insert:
    """Inserts steps of trials, or puts them in the place of older ones."""
    insert = insert_of(dialect)(metrics)
    # An attempt that starts over reports its steps again; the newer curve is the trial's.
    statement: sa.Insert = insert.on_conflict_do_update(
        index_elements=["trial_id", "step"],
        set_={name: insert.excluded[name] for name in ("attempt_id", "at", "values")},
    )
    return statement
