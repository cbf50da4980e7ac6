"""A job's life as the service shows it, on both databases."""

import csv
import io
from typing import Any

import pytest
import sqlalchemy as sa

from tests.factories import (
    NOON,
    insert_events,
    insert_job,
    insert_metrics,
    insert_trials,
    make_spec,
)
from tests.scheduler import Outcome, Scheduler
from tests.statements import recorded
from tuner.db import Database, jobs
from tuner.errors import JobNotFound
from tuner.service import Service
from tuner.settings import Settings
from tuner.states import JobState, TrialState

STATES = {"pause": "paused", "resume": "running", "cancel": "cancelling"}


def obey(connection: sa.Connection, request: sa.Row[Any]) -> Outcome:
    """Carry out a request on the job's row, as far as the service can see."""
    job = jobs.c.id == request.job_id
    match request.kind:
        case "pause" | "resume" | "cancel":
            change: dict[str, Any] = {"state": STATES[request.kind]}
        case "patch":
            change = {k: v for k, v in request.payload.items() if k != "parallel"}
            change["revision"] += 1
        case _:
            connection.execute(sa.delete(jobs).where(job))
            return {"ok": True}
    connection.execute(sa.update(jobs).where(job).values(version=jobs.c.version + 1, **change))
    return {"ok": True}


def test_a_job_lives_from_its_submission_to_its_deletion(
    database: Database, settings: Settings
) -> None:
    service = Service(database, settings, clock=lambda: NOON, wait=Scheduler(database, apply=obey))
    job = service.submit(make_spec(labels={"team": "Sicht"}), idempotency_key="key")[0].id
    with database.writing() as connection:
        connection.execute(sa.update(jobs).values(state="running"))
    version = service.job_version(job)
    assert service.pause(job).state is JobState.PAUSED
    assert service.resume(job).state is JobState.RUNNING
    patched = service.patch(job, {"revision": 1, "budget": {"trials": 60}, "labels": {"a": "ö"}})
    assert (patched.revision, patched.budget.trials, patched.labels) == (2, 60, {"a": "ö"})
    assert service.job_version(job) == version + 3
    assert [found.id for found in service.jobs(label="a=ö").jobs] == [job]
    assert service.cancel(job).state is JobState.CANCELLING
    with database.writing() as connection:
        connection.execute(sa.update(jobs).values(state="cancelled"))
    service.delete(job)
    with pytest.raises(JobNotFound):
        service.job(job)
    assert service.submit(make_spec(), idempotency_key="key")[1]


def test_results_are_read_alike_from_both_databases(database: Database, settings: Settings) -> None:
    service = Service(database, settings, clock=lambda: NOON)
    job = insert_job(database)
    rows: list[dict[str, Any]] = [
        {"value": n % 5 / 5, "params": {"lr": 1e-5 * 1.5**n, "depth": 1 + n % 3}} for n in range(20)
    ]
    ids = insert_trials(database, job, [*rows, {"state": "failed", "reason": "nan"}])
    insert_metrics(database, ids[0], [{"val_loss": 1.5}, {"val_loss": None}])
    insert_events(database, job, ["submitted", "started"])
    assert [trial.number for trial in service.best(job.ulid, k=6).best] == [4, 9, 14, 19, 3, 8]
    page = service.trials(job.ulid, state=TrialState.FAILED)
    assert [(trial.number, trial.reason) for trial in page.trials] == [(20, "nan")]
    assert service.trial(job.ulid, 3).params == {"lr": 1e-5 * 1.5**3, "depth": 1}
    assert service.curves(job.ulid, 0).points[1].values == {"val_loss": None}
    assert [event.kind for event in service.events(job.ulid)] == ["submitted", "started"]
    table = csv.DictReader(io.StringIO(service.export(job.ulid, "csv").decode(), newline=""))
    assert [row["params_lr"] for row in table][3] == repr(1e-5 * 1.5**3)
    assert service.export(job.ulid, "parquet").startswith(b"PAR1")
    assert service.export(job.ulid, "optuna").count(b"\n") == 22
    assert set(service.importances(job.ulid).importances) >= {"lr", "depth"}
    assert service.statistics().trials[TrialState.COMPLETED] == 20
    service.ready()


def test_what_people_look_at_most_takes_few_statements(
    database: Database, settings: Settings
) -> None:
    service = Service(database, settings)
    job = insert_job(database)
    insert_trials(database, job, [{}] * 5)
    for question, most in (
        (lambda: service.job(job.ulid), 1),
        (lambda: service.job_version(job.ulid), 1),
        (lambda: service.jobs(), 1),
        (lambda: service.trial(job.ulid, 0), 1),
        (lambda: service.trials(job.ulid), 1),
        (lambda: service.best(job.ulid), 2),
    ):
        with recorded(database) as statements:
            question()
        assert len([sql for sql, _ in statements if not sql.startswith("BEGIN")]) <= most
