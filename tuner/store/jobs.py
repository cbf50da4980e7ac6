"""Jobs: the newest first, one by its name, and the writing of a new one."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from tuner.db import jobs, trials
from tuner.states import LIVE_JOBS, JobState, TrialState
from tuner.store.rows import Reader, Row

_best = trials.alias("best")
_with_best = jobs.outerjoin(
    _best, sa.and_(_best.c.job_id == jobs.c.id, _best.c.number == jobs.c.best_number)
)
_part = trials.c.progress["done"].as_float() / trials.c.progress["total"].as_float()
#: Epochs that running trials have done, the one under way by the part of it that is done.
_under_way = (
    sa.select(
        sa.func.coalesce(
            sa.func.sum(sa.func.coalesce(trials.c.last_step, 0) + sa.func.coalesce(_part, 0.0)), 0.0
        )
    )
    .where(trials.c.job_id == jobs.c.id, trials.c.state == TrialState.RUNNING)
    .scalar_subquery()
    .label("epochs_under_way")
)
#: What a page shows of a job: of the plan, only what it is judged by.
_SUMMARY: Final[tuple[sa.ColumnElement[Any], ...]] = (
    *(c for c in jobs.c if c.name not in ("plan", "idempotency_key", "spec_digest")),
    jobs.c.plan["metric"].as_string().label("metric"),
    jobs.c.plan["direction"].as_string().label("direction"),
    jobs.c.plan["others"].label("others"),
    _best.c.params.label("best_params"),
    _under_way,
)

_ulid = sa.bindparam("ulid", type_=sa.String)
_KEY = sa.select(jobs.c.id, jobs.c.ulid, jobs.c.spec_digest).where(
    jobs.c.idempotency_key == sa.bindparam("key", type_=sa.String)
)
_DETAIL = sa.select(*_SUMMARY, jobs.c.plan).select_from(_with_best).where(jobs.c.ulid == _ulid)
_VERSION = sa.select(jobs.c.version).where(jobs.c.ulid == _ulid)
_FACTS = sa.select(
    jobs.c.id,
    jobs.c.ulid,
    jobs.c.state,
    jobs.c.plan["metric"].as_string().label("metric"),
    jobs.c.plan["direction"].as_string().label("direction"),
    jobs.c.plan["others"].label("others"),
).where(jobs.c.ulid == _ulid)
_LIVE_SPECS = sa.select(jobs.c.ulid, jobs.c.spec).where(jobs.c.state.in_(sorted(LIVE_JOBS)))
_COUNTERS = ("queued", "running", "paused", "completed", "pruned", "failed", "cancelled")
_TOTALS = sa.select(
    jobs.c.state,
    sa.func.count().label("jobs"),
    sa.func.sum(jobs.c.busy_seconds).label("busy_seconds"),
    *(sa.func.sum(jobs.c[name]).label(name) for name in _COUNTERS),
).group_by(jobs.c.state)


def insert_job(connection: sa.Connection, values: Mapping[str, Any]) -> None:
    """Write a new job.

    Raises:
        sqlalchemy.exc.IntegrityError: another job has this idempotency key.
    """
    connection.execute(sa.insert(jobs), dict(values))


def job_with_key(connection: sa.Connection, key: str) -> Row | None:
    """`id`, `ulid` and `spec_digest` of the job submitted under this idempotency key."""
    return connection.execute(_KEY, {"key": key}).one_or_none()


def job_detail(connection: Reader, ulid: str) -> Row | None:
    """The job with its spec, its plan and the parameters of its best trial."""
    return connection.execute(_DETAIL, {"ulid": ulid}).one_or_none()


def job_facts(connection: Reader, ulid: str) -> Row | None:
    """`id`, `ulid`, `state`, `metric` and `direction` of the job."""
    return connection.execute(_FACTS, {"ulid": ulid}).one_or_none()


def live_specs(connection: sa.Connection) -> Sequence[Row]:
    """`ulid` and `spec` of all jobs that are not finished."""
    return connection.execute(_LIVE_SPECS).all()


def job_version(connection: Reader, ulid: str) -> int | None:
    """How often the job's row has changed."""
    return connection.execute(_VERSION, {"ulid": ulid}).scalar_one_or_none()


def page_of_jobs(
    connection: sa.Connection,
    *,
    state: JobState | None,
    label: tuple[str, str | None] | None,
    before: int | None,
    limit: int,
) -> Sequence[Row]:
    """Up to `limit` jobs older than the job with id `before`, newest first.

    `label` is a name, and the value it must have or None for any.
    """
    statement = sa.select(*_SUMMARY).select_from(_with_best)
    if state is not None:
        statement = statement.where(jobs.c.state == state)
    if label is not None:
        statement = statement.where(_has_label(connection, *label))
    if before is not None:
        statement = statement.where(jobs.c.id < before)
    return connection.execute(statement.order_by(jobs.c.id.desc()).limit(limit)).all()


def _has_label(connection: sa.Connection, name: str, value: str | None) -> sa.ColumnElement[bool]:
    if connection.dialect.name == "postgresql":
        found = jobs.c.labels.op("->>")(sa.bindparam(None, name, type_=sa.String))
        return found.is_not(None) if value is None else found == sa.literal(value, sa.String)
    # A JSON path could not name every label: a quotation mark in one has no escape there.
    pairs = sa.func.json_each(jobs.c.labels).table_valued("key", "value")
    matching = pairs.c.key == name
    if value is not None:
        matching &= pairs.c.value == value
    return sa.exists(sa.select(sa.literal(1)).select_from(pairs).where(matching))


def totals(connection: sa.Connection) -> Sequence[Row]:
    """For each state of jobs: how many, and the sums of their counters."""
    return connection.execute(_TOTALS).all()
