"""Jobs with many trials in a database, as if they had been tuned: for what reads them."""

from typing import Any

import sqlalchemy as sa

from tests.factories import NOON, insert_job
from tuner.columns import UtcDateTime
from tuner.db import Database, attempts, jobs, metrics, trials

#: Rows of an INSERT.
CHUNK = 10_000
CURVE = {
    "train_loss": 0.4321,
    "train_accuracy": 0.8765,
    "val_loss": 0.5432,
    "val_accuracy": 0.8654,
    "learning_rate": 0.00123,
    "seconds": 1.2345,
    "samples_per_second": 12345.6,
}


def store_job(database: Database, count: int, *, steps: int = 0) -> str:
    """A finished job of `count` trials, each with so many steps of seven metrics; its id."""
    job = insert_job(database, state="succeeded", finished_at=NOON, name=f"{count} x {steps}")
    with database.writing() as connection:
        for start in range(0, count, CHUNK):
            numbers = range(start, min(count, start + CHUNK))
            connection.execute(sa.insert(trials), [_trial(job.id, n) for n in numbers])
        _count(connection, job.id, count)
        _store_attempts(connection, job.id)
        if steps:
            _store_steps(connection, job.id, steps)
    return job.ulid


def _trial(job: int, number: int) -> dict[str, Any]:
    return {
        "job_id": job,
        "number": number,
        "state": "pruned" if number % 3 else "completed",
        "params": {"lr": 0.001 + number * 1e-7, "depth": 2, "width": 64, "batch_size": 128},
        "source": "sampler" if number else "default",
        "system_attrs": {},
        # Scattered, and no two alike.
        "value": (number * 7919 % 1_000_003) / 1_000_003,
        "best_step": 10,
        "last_step": 20,
        "attempts": 1,
        "created_at": NOON,
        "started_at": NOON,
        "finished_at": NOON,
    }


def _count(connection: sa.Connection, job: int, count: int) -> None:
    completed = -(-count // 3)
    best = (
        sa.select(trials.c.number, trials.c.value)
        .where(trials.c.job_id == job, trials.c.state == "completed")
        .order_by(trials.c.value.desc())
    )
    number, value = connection.execute(best.limit(1)).one()
    tally = {"created": count, "completed": completed, "pruned": count - completed}
    changes = {**tally, "best_number": number, "best_value": value}
    connection.execute(sa.update(jobs).where(jobs.c.id == job).values(changes))


def _store_attempts(connection: sa.Connection, job: int) -> None:
    """The one attempt of each trial, made by the database itself."""
    completed = trials.c.state == "completed"
    rows = sa.select(
        trials.c.job_id,
        trials.c.id,
        sa.literal(1),
        sa.case((completed, "succeeded"), else_="pruned"),
        sa.case((completed, None), else_="pruned"),
        sa.literal("here"),
        sa.literal("cpu"),
        sa.literal(1.0),
        trials.c.started_at,
        trials.c.finished_at,
    ).where(trials.c.job_id == job)
    names = ["job_id", "trial_id", "ordinal", "state", "reason", "host", "device", "cpus"]
    statement = sa.insert(attempts).from_select([*names, "started_at", "finished_at"], rows)
    connection.execute(statement)


def _store_steps(connection: sa.Connection, job: int, steps: int) -> None:
    """The curves of all trials, made by the database itself."""
    number = sa.select(sa.literal(1).label("step")).cte("numbers", recursive=True)
    number = number.union_all(sa.select(number.c.step + 1).where(number.c.step < steps))
    values = sa.literal(CURVE, metrics.c["values"].type)
    rows = (
        sa.select(trials.c.id, number.c.step, sa.literal(1), sa.literal(NOON, UtcDateTime), values)
        .join_from(trials, number, sa.true())
        .where(trials.c.job_id == job)
    )
    names = ["trial_id", "step", "attempt_id", "at", "values"]
    connection.execute(sa.insert(metrics).from_select(names, rows))


def analyse(database: Database) -> None:
    """Let the database count its rows, as one that lived with them has long done."""
    with database.writing() as connection:
        connection.execute(sa.text("ANALYZE"))
