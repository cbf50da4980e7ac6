"""What a scheduler reads when it starts or takes up a job: everything it decides from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tuner.db import attempts, hosts, jobs, metrics, requests, study_attrs, trials
from tuner.states import LIVE_TRIALS, AttemptState, JobState, Reason, TrialState

_ENDED = (TrialState.COMPLETED, TrialState.PRUNED)

# What is asked at every look and at every trial's end, made once.
_WAITING = sa.select(requests).where(requests.c.applied_at.is_(None)).order_by(requests.c.id)
_HEAD = sa.select(jobs.c.id, jobs.c.ulid, jobs.c.state, jobs.c.revision, jobs.c.created).where(
    jobs.c.id == sa.bindparam("key")
)
_QUEUED = sa.select(jobs.c.id).where(jobs.c.state == JobState.QUEUED).order_by(jobs.c.id)
_COMPLETED = (
    sa.select(trials.c.number, trials.c.model_uri)
    .where(trials.c.job_id == sa.bindparam("job"), trials.c.state == TrialState.COMPLETED)
    .limit(sa.bindparam("places"))
)
_MAXIMA = _COMPLETED.order_by(trials.c.value.desc(), trials.c.number)
_MINIMA = _COMPLETED.order_by(trials.c.value.asc(), trials.c.number)
_THESE = sa.update(trials).where(
    trials.c.job_id == sa.bindparam("job"),
    trials.c.number.in_(sa.bindparam("numbers", expanding=True)),
)
_GIVE_UP = _THESE.values(model_uri=None, checkpoint_uri=None)
_GIVE_UP_LAST = _THESE.values(checkpoint_uri=trials.c.model_uri)

_ended_trials = (
    sa.select(jobs.c.id, jobs.c.ulid, trials.c.number, trials.c.model_uri)
    .join_from(trials, jobs, trials.c.job_id == jobs.c.id)
    .where(trials.c.state.not_in(sorted(LIVE_TRIALS)))
    .order_by(jobs.c.id, trials.c.number)
)
_LOSERS = _ended_trials.where(
    sa.or_(trials.c.model_uri.is_not(None), trials.c.checkpoint_uri.is_not(None)),
    sa.or_(jobs.c.best_number.is_(None), trials.c.number != jobs.c.best_number),
)
_BEST_WITH_MORE = _ended_trials.where(
    trials.c.number == jobs.c.best_number,
    trials.c.model_uri.is_not(None),
    trials.c.checkpoint_uri != trials.c.model_uri,
)


def last_beat(connection: sa.Connection) -> datetime | None:
    """When a scheduler last said that it lives."""
    newest = sa.select(hosts.c.beat_at).order_by(hosts.c.beat_at.desc()).limit(1)
    return connection.scalar(newest)


def next_keys(connection: sa.Connection) -> tuple[int, int]:
    """The next free primary keys of trials and attempts."""
    newest_trial = connection.scalar(sa.select(sa.func.max(trials.c.id))) or 0
    newest_attempt = connection.scalar(sa.select(sa.func.max(attempts.c.id))) or 0
    return newest_trial + 1, newest_attempt + 1


def jobs_in(connection: sa.Connection, states: frozenset[JobState]) -> list[sa.RowMapping]:
    """`id` and `ulid` of all jobs in these states, oldest first."""
    query = sa.select(jobs.c.id, jobs.c.ulid).where(jobs.c.state.in_(states))
    return list(connection.execute(query.order_by(jobs.c.id)).mappings())


def job_row(connection: sa.Connection, job: int) -> sa.RowMapping:
    """One job, whatever its state."""
    return connection.execute(sa.select(jobs).where(jobs.c.id == job)).mappings().one()


def head_of_job(connection: sa.Connection, job: int) -> sa.RowMapping | None:
    """`id`, `ulid`, `state`, `revision` and `created` of a job, which are always legible."""
    return connection.execute(_HEAD, {"key": job}).mappings().one_or_none()


def budget_of(connection: sa.Connection, job: int) -> Mapping[str, Any]:
    """The job's budget, as its row has it."""
    budget: Mapping[str, Any] = connection.execute(
        sa.select(jobs.c.budget).where(jobs.c.id == job)
    ).scalar_one()
    return budget


def trial_row(connection: sa.Connection, trial: int) -> sa.RowMapping:
    """One trial by its primary key."""
    return connection.execute(sa.select(trials).where(trials.c.id == trial)).mappings().one()


def trials_of(connection: sa.Connection, job: int) -> list[sa.RowMapping]:
    """All trials of a job by number."""
    query = sa.select(trials).where(trials.c.job_id == job).order_by(trials.c.number)
    return list(connection.execute(query).mappings())


def reports_of(connection: sa.Connection, job: int, metric: str) -> dict[int, dict[int, float]]:
    """Trial number → step → value of `metric`, for the whole job."""
    # Made a number here: a database that fails in doing so says not of which job.
    query = (
        sa.select(trials.c.number, metrics.c.step, metrics.c["values"][metric])
        .join(metrics, metrics.c.trial_id == trials.c.id)
        .where(trials.c.job_id == job)
    )
    reports: dict[int, dict[int, float]] = {}
    for number, step, reported in connection.execute(query):
        if reported is not None:
            reports.setdefault(number, {})[step] = float(reported)
    return reports


def study_attrs_of(connection: sa.Connection, job: int) -> dict[str, Any]:
    """The sampler's notes on the whole study."""
    query = sa.select(study_attrs.c.key, study_attrs.c.value).where(study_attrs.c.job_id == job)
    return {key: value for key, value in connection.execute(query)}


def running_attempts(connection: sa.Connection) -> list[sa.RowMapping]:
    """All attempts that somebody began and nobody ended."""
    query = sa.select(attempts).where(attempts.c.state == AttemptState.RUNNING)
    return list(connection.execute(query.order_by(attempts.c.id)).mappings())


def attempts_of_job(connection: sa.Connection, job: int) -> list[int]:
    """The ids of all attempts of a job, its probes included."""
    return list(connection.scalars(sa.select(attempts.c.id).where(attempts.c.job_id == job)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the ended attempts of a trial mean for its next."""

    #: What they took.
    seconds: float = 0.0
    #: How many ended because a GPU's memory ran out; each had the micro-batch halved.
    oom_gpu: int = 0


def past_of_trials(connection: sa.Connection, job: int) -> dict[int, Past]:
    """Trial id → its past, of the job's trials that have begun and not ended."""
    query = (
        sa.select(
            attempts.c.trial_id, attempts.c.started_at, attempts.c.finished_at, attempts.c.reason
        )
        .join(trials, attempts.c.trial_id == trials.c.id)
        .where(
            attempts.c.job_id == job,
            attempts.c.finished_at.is_not(None),
            trials.c.state.in_(sorted(LIVE_TRIALS)),
        )
    )
    past: dict[int, Past] = {}
    for trial, began, ended, reason in connection.execute(query):
        before = past.get(trial, Past())
        # Less than nothing where the clock was set back in between.
        seconds = before.seconds + max(0.0, (ended - began).total_seconds())
        past[trial] = Past(seconds=seconds, oom_gpu=before.oom_gpu + (reason == Reason.OOM_GPU))
    return past


def reasons_of_probes(connection: sa.Connection, job: int) -> list[Reason]:
    """Why the probes of a job that has passed none have ended."""
    query = sa.select(attempts.c.reason).where(
        attempts.c.job_id == job, attempts.c.trial_id.is_(None), attempts.c.reason.is_not(None)
    )
    return [Reason(reason) for reason in connection.scalars(query)]


def is_probed(connection: sa.Connection, job: int) -> bool:
    """Whether a probe of the job has passed."""
    query = sa.select(attempts.c.id).where(
        attempts.c.job_id == job,
        attempts.c.trial_id.is_(None),
        attempts.c.state == AttemptState.SUCCEEDED,
    )
    return connection.execute(query.limit(1)).first() is not None


def ended_since_best(connection: sa.Connection, job: sa.RowMapping) -> int:
    """Trials that completed or were pruned after the best one did."""
    query = sa.select(sa.func.count()).where(
        trials.c.job_id == job["id"], trials.c.state.in_(_ENDED)
    )
    if job["best_number"] is not None:
        best = sa.select(trials.c.finished_at).where(
            trials.c.job_id == job["id"], trials.c.number == job["best_number"]
        )
        query = query.where(trials.c.finished_at > best.scalar_subquery())
    return connection.scalar(query) or 0


def waiting_requests(connection: sa.Connection) -> list[sa.RowMapping]:
    """Requests nobody has dealt with, oldest first."""
    return list(connection.execute(_WAITING).mappings())


def queued_jobs(connection: sa.Connection) -> list[int]:
    """The ids of all queued jobs."""
    return list(connection.scalars(_QUEUED))


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFiles:
    """Which files of a job its rows need."""

    #: Trials that have not ended: all their files are theirs.
    live: frozenset[int]
    #: What the rows of the others name.
    uris: frozenset[str | None]

    def keeps(self, number: int, uri: str) -> bool:
        """Whether the file of the trial of this number stays."""
        return number in self.live or uri in self.uris


def named_files(connection: sa.Connection, job: str) -> NamedFiles | None:
    """What the rows of the job of this ulid name; None where there is no such job."""
    key = connection.scalar(sa.select(jobs.c.id).where(jobs.c.ulid == job))
    if key is None:
        return None
    query = sa.select(
        trials.c.number, trials.c.state, trials.c.checkpoint_uri, trials.c.model_uri
    ).where(trials.c.job_id == key)
    rows = connection.execute(query).all()
    return NamedFiles(
        live=frozenset(row.number for row in rows if row.state in LIVE_TRIALS),
        uris=frozenset(uri for row in rows for uri in (row.checkpoint_uri, row.model_uri)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """Which files the retention rule gives up: whole trials, and all but one file of another."""

    trials: list[int]
    only: str | None


def retire(
    connection: sa.Connection, job: int, *, number: int, best: int, maximize: bool
) -> Retired:
    """Apply the retention rule now that trial `number` is final; `best` completed trials are kept.

    The rows name no file any more that is given up, once the transaction is committed.
    """
    parameters = {"job": job, "places": best + 1}
    ranking = connection.execute(_MAXIMA if maximize else _MINIMA, parameters)
    ranked = {row.number: row.model_uri for row in ranking}
    winners = list(ranked)[:best]
    losers = {number, *list(ranked)[best:]} - set(winners)
    if losers:
        connection.execute(_GIVE_UP, {"job": job, "numbers": sorted(losers)})
    only = ranked[number] if number in winners else None
    if only is not None:
        connection.execute(_GIVE_UP_LAST, {"job": job, "numbers": [number]})
    return Retired(trials=sorted(losers), only=only)


def give_up_all_but_the_best(
    connection: sa.Connection, *, most: int = 1000
) -> list[tuple[str, Retired]]:
    """Give up the files of ended trials that are not their job's best, of the oldest jobs first.

    Of at most so many trials at once. Where there are none left, the best trials' checkpoints go,
    which leaves their trained networks. The rows name no file any more that is given up.
    """
    rows = connection.execute(_LOSERS.limit(most)).all()
    if not rows:
        return _give_up_checkpoints_of_best(connection, most)
    trials_of_job: dict[tuple[int, str], list[int]] = {}
    for row in rows:
        trials_of_job.setdefault((row.id, row.ulid), []).append(row.number)
    for (job, _), numbers in trials_of_job.items():
        connection.execute(_GIVE_UP, {"job": job, "numbers": numbers})
    return [(ulid, Retired(trials=n, only=None)) for (_, ulid), n in trials_of_job.items()]


def _give_up_checkpoints_of_best(connection: sa.Connection, most: int) -> list[tuple[str, Retired]]:
    rows = connection.execute(_BEST_WITH_MORE.limit(most)).all()
    for row in rows:
        connection.execute(_GIVE_UP_LAST, {"job": row.id, "numbers": [row.number]})
    return [(row.ulid, Retired(trials=[], only=row.model_uri)) for row in rows]
