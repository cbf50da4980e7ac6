"""Rows as the service and the scheduler write them; each test names only what it is about."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from ulid import ULID

from tuner.db import Database, attempts, events, hosts, jobs, metrics, requests, trials
from tuner.planning.foreign import resolve_command, resolve_objective
from tuner.planning.plan import Plan
from tuner.planning.resolve import resolve
from tuner.spec import CommandSpec, JobSpec, ObjectiveSpec, TrainingSpec, parse_spec
from tuner.states import Direction, TrialState

#: When everything in the tests happens.
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job in a test's database: its row's id, and its id outside."""

    id: int
    ulid: str


def make_spec(**overrides: Any) -> dict[str, Any]:
    """The document of a small job on the digits."""
    spec: dict[str, Any] = {
        "model": "mlp",
        "data": "digits",
        "loss": "cross_entropy",
        "optimizer": "adamw",
        "search": {"seed": 7},
    }
    return {**spec, **overrides}


def insert_job(
    database: Database, *, spec: Mapping[str, Any] | None = None, **columns: Any
) -> StoredJob:
    """A running job of `spec`, by default `make_spec()`; other columns may be given."""
    document = make_spec() if spec is None else dict(spec)
    row = {**_job_row(json.dumps(document)), "ulid": f"job_{ULID()}", **columns}
    with database.writing() as connection:
        statement = sa.insert(jobs).returning(jobs.c.id)
        return StoredJob(id=connection.execute(statement, row).scalar_one(), ulid=row["ulid"])


@cache
def _job_row(document: str) -> dict[str, Any]:
    spec = parse_spec(json.loads(document))
    return {
        "name": spec.name or "a job",
        "state": "running",
        "spec": spec.to_json(),
        "plan": _planned(spec).to_json(),
        "budget": spec.budget.model_dump(mode="json"),
        "parallel": spec.parallel_limit,
        "priority": spec.priority,
        "labels": spec.labels,
        "spec_digest": "0" * 64,
        "created_at": NOON,
        "started_at": NOON,
    }


def _planned(spec: JobSpec) -> Plan:
    match spec:
        case TrainingSpec():
            return resolve(spec, (), ("tests",))
        case ObjectiveSpec():
            return resolve_objective(spec, ("tests",))
        case CommandSpec():
            return resolve_command(spec, allowed=True)
    raise TypeError(spec)


def insert_trials(
    database: Database, job: StoredJob, rows: Iterable[Mapping[str, Any]]
) -> list[int]:
    """Trials numbered from where the job is, completed unless said otherwise; their ids.

    The job's counters and its best trial follow, as the scheduler keeps them.
    """
    with database.writing() as connection:
        count = sa.select(sa.func.count()).where(trials.c.job_id == job.id)
        first = connection.execute(count).scalar_one()
        filled = [_trial_row(job, first + place, row) for place, row in enumerate(rows)]
        connection.execute(sa.insert(trials), filled)
        _count_trials(connection, job)
        numbers = [row["number"] for row in filled]
        found = connection.execute(
            sa.select(trials.c.number, trials.c.id).where(trials.c.job_id == job.id)
        )
        ids = {row.number: row.id for row in found}
    return [ids[number] for number in numbers]


def _trial_row(job: StoredJob, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    state = row.get("state", "completed")
    began = None if state == "queued" else NOON
    ended = NOON + timedelta(seconds=10) if state not in ("queued", "running", "paused") else None
    return {
        "job_id": job.id,
        "number": number,
        "state": state,
        "params": {"lr": 0.01 * (1 + number % 9)},
        "source": "sampler" if number else "default",
        "system_attrs": {},
        "value": 0.5 if state in ("completed", "pruned") else None,
        "best_step": None,
        "last_step": None,
        "progress": None,
        "attempts": int(state != "queued"),
        "counted": 0,
        "reason": None,
        "detail": None,
        "model_uri": None,
        "created_at": NOON,
        "started_at": began,
        "finished_at": ended,
        **row,
    }


def _count_trials(connection: sa.Connection, job: StoredJob) -> None:
    grouped = sa.select(trials.c.state, sa.func.count()).where(trials.c.job_id == job.id)
    rows = connection.execute(grouped.group_by(trials.c.state))
    counts: dict[str, int] = {state: count for state, count in rows}
    plan = connection.execute(sa.select(jobs.c.plan).where(jobs.c.id == job.id)).scalar_one()
    order = trials.c.value.desc()
    if plan["direction"] == Direction.MINIMIZE:
        order = trials.c.value.asc()
    best = connection.execute(
        sa.select(trials.c.number, trials.c.value)
        .where(trials.c.job_id == job.id, trials.c.state == "completed")
        .order_by(order, trials.c.number)
        .limit(1)
    ).one_or_none()
    changes = {str(state): counts.get(state, 0) for state in TrialState}
    changes["created"] = sum(counts.values())
    statement = sa.update(jobs).where(jobs.c.id == job.id).values(changes)
    if best is not None:
        statement = statement.values(best_number=best.number, best_value=best.value)
    connection.execute(statement)


def insert_attempt(database: Database, job: StoredJob, trial: int | None, **columns: Any) -> int:
    """A running attempt on the CPU; its id."""
    row = {
        "job_id": job.id,
        "trial_id": trial,
        "ordinal": 1,
        "state": "running",
        "host": "here",
        "device": "cpu",
        "cpus": 1.0,
        "gpu_share": 0.0,
        "started_at": NOON,
        **columns,
    }
    with database.writing() as connection:
        statement = sa.insert(attempts).returning(attempts.c.id)
        identifier: int = connection.execute(statement, row).scalar_one()
        return identifier


def insert_tried(
    database: Database, job: StoredJob, rows: Iterable[Mapping[str, Any]]
) -> list[int]:
    """Completed trials, each with the attempt that brought its result; their ids."""
    made = insert_trials(database, job, rows)
    for trial in made:
        ended = NOON + timedelta(seconds=10)
        insert_attempt(database, job, trial, state="succeeded", finished_at=ended)
    return made


def insert_metrics(
    database: Database, trial: int, curve: Iterable[Mapping[str, float | None]]
) -> None:
    """The metrics of a trial, step by step from 1."""
    with database.writing() as connection:
        connection.execute(
            sa.insert(metrics),
            [
                {"trial_id": trial, "step": step, "attempt_id": 1, "at": NOON, "values": values}
                for step, values in enumerate(curve, start=1)
            ],
        )


def insert_events(database: Database, job: StoredJob, kinds: Iterable[str]) -> None:
    """Events of a job, numbered on from its last one."""
    with database.writing() as connection:
        last = sa.select(sa.func.coalesce(sa.func.max(events.c.seq), 0))
        first = connection.execute(last.where(events.c.job_id == job.id)).scalar_one() + 1
        rows = [
            {"job_id": job.id, "seq": seq, "kind": kind, "at": NOON, "data": {}}
            for seq, kind in enumerate(kinds, start=first)
        ]
        connection.execute(sa.insert(events), rows)
        statement = sa.update(jobs).where(jobs.c.id == job.id)
        connection.execute(statement.values(last_event=rows[-1]["seq"]))


#: What a host says of a disk on which there is no more room.
FULL = {
    "artifacts": 2_500_000_000,
    "artifacts_limit": 2_000_000_000,
    "cache": 30,
    "cache_limit": 40,
    "datasets": 50,
}


def insert_host(
    database: Database,
    name: str,
    beat_at: datetime = NOON,
    disk: Mapping[str, int] | None = None,
) -> None:
    """A host with four cores and a GPU."""
    cpu = {"name": "cpu", "kind": "cpu", "capacity": 4.0, "free": 4.0, "memory_mb": 8000}
    gpu = {"name": "cuda:0", "kind": "cuda", "capacity": 1.0, "free": 1.0, "memory_mb": 80000}
    devices = [{**cpu, "model": "CPU"}, {**gpu, "model": "H100"}]
    facts = {"host": name, "devices": devices, "disk": disk}
    row = {"name": name, "inventory": facts, "beat_at": beat_at}
    with database.writing() as connection:
        connection.execute(sa.insert(hosts), row)


def waiting_requests(database: Database, job: StoredJob) -> list[tuple[str, dict[str, Any]]]:
    """Kind and payload of the job's requests that are not applied yet, in order."""
    statement = sa.select(requests.c.kind, requests.c.payload).order_by(requests.c.id)
    with database.reading() as connection:
        rows = connection.execute(
            statement.where(requests.c.job_id == job.id, requests.c.applied_at.is_(None))
        )
        return [(row.kind, row.payload) for row in rows]
