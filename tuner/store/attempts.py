"""Attempts: those of a trial, and all that are under way."""

from collections.abc import Sequence

import sqlalchemy as sa

from tuner.db import attempts, jobs, trials
from tuner.states import AttemptState
from tuner.store.rows import Row

_trial = sa.bindparam("trial", type_=sa.BigInteger)
_OF_TRIAL = sa.select(attempts).where(attempts.c.trial_id == _trial).order_by(attempts.c.ordinal)
_PROBES = (
    sa.select(attempts)
    .where(attempts.c.job_id == sa.bindparam("job"), attempts.c.trial_id.is_(None))
    .order_by(attempts.c.id)
)
_NEWEST = (
    sa.select(attempts.c.id)
    .where(attempts.c.trial_id == _trial)
    .order_by(attempts.c.ordinal.desc())
    .limit(1)
)
_BY_ID = sa.select(attempts.c.id).where(
    attempts.c.trial_id == _trial,
    attempts.c.id == sa.bindparam("attempt", type_=sa.BigInteger),
)
_RUNNING = (
    sa.select(
        attempts.c.id,
        attempts.c.host,
        attempts.c.device,
        attempts.c.cpus,
        attempts.c.gpu_share,
        attempts.c.started_at,
        jobs.c.ulid,
        trials.c.number,
    )
    .join_from(attempts, jobs, attempts.c.job_id == jobs.c.id)
    .outerjoin(trials, attempts.c.trial_id == trials.c.id)
    .where(attempts.c.state == AttemptState.RUNNING)
    .order_by(attempts.c.id)
)


def attempts_of(connection: sa.Connection, trial: int) -> Sequence[Row]:
    """All attempts of the trial with this id, first to last."""
    return connection.execute(_OF_TRIAL, {"trial": trial}).all()


def probes_of(connection: sa.Connection, job: int) -> Sequence[Row]:
    """All probes of the job with this id, first to last."""
    return connection.execute(_PROBES, {"job": job}).all()


def newest_attempt(connection: sa.Connection, trial: int) -> int | None:
    """The id of the last attempt of the trial with this id; None where it has none."""
    return connection.execute(_NEWEST, {"trial": trial}).scalar_one_or_none()


def is_attempt_of(connection: sa.Connection, trial: int, attempt: int) -> bool:
    """Whether the attempt with this id is one of the trial with that id."""
    if not 0 < attempt < 2**63:
        return False
    parameters = {"trial": trial, "attempt": attempt}
    return connection.execute(_BY_ID, parameters).one_or_none() is not None


def running_attempts(connection: sa.Connection) -> Sequence[Row]:
    """All attempts under way, with their job's ulid and their trial's number (None: a probe)."""
    return connection.execute(_RUNNING).all()
