"""Jobs and trials written straight into the tables, for tests of those who only read."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from models.hyperparameters import Choice, Fixed, Integer, Real, When
from tuner.db import Database, jobs, metrics, trials
from tuner.space import Space, arranged

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SPACE = arranged(
    [
        Real(name="lr", low=1e-5, high=1e-1, default=1e-3, log=True),
        Integer(name="depth", low=1, high=6, default=3),
        Choice(name="optimizer", choices=("sgd", "adamw"), default="adamw"),
        Real(
            name="momentum",
            low=0.0,
            high=0.99,
            default=0.9,
            when=(When(parameter="optimizer", values=("sgd",)),),
        ),
        Fixed(name="width", value=64),
    ]
)


def add_job(
    database: Database,
    ulid: str = "job_01J0000000000000000000DIGITS",
    *,
    name: str = "digits",
    direction: str = "maximize",
    metric: str = "val_accuracy",
    space: Space = SPACE,
    state: str = "running",
) -> int:
    """A job's row; its integer id."""
    row = {
        "ulid": ulid,
        "name": name,
        "state": state,
        "spec": {"model": "convnet", "data": "digits"},
        "plan": {"space": space.to_json(), "metric": metric, "direction": direction},
        "budget": {"trials": 50},
        "priority": 0,
        "labels": {},
        "spec_digest": "0" * 64,
        "created_at": START,
    }
    with database.writing() as connection:
        return int(connection.execute(sa.insert(jobs).values(**row)).inserted_primary_key[0])


def add_trial(
    database: Database,
    job: int,
    number: int,
    state: str = "completed",
    *,
    value: float | None = None,
    reports: Mapping[int, float | None] | None = None,
    metric: str = "val_accuracy",
    **columns: Any,
) -> int:
    """A trial's row and its reports; its integer id."""
    began = START + timedelta(minutes=number)
    row = {
        "job_id": job,
        "number": number,
        "state": state,
        "params": {"lr": 0.01, "depth": 2, "optimizer": "adamw", "width": 64},
        "source": "sampler",
        "system_attrs": {},
        "value": value,
        "attempts": 1,
        "created_at": began,
        "started_at": None if state == "queued" else began,
        "finished_at": None if state in ("queued", "running", "paused") else began,
    } | columns
    with database.writing() as connection:
        trial = int(connection.execute(sa.insert(trials).values(**row)).inserted_primary_key[0])
        add_reports(connection, trial, reports or {}, metric)
    return trial


def add_reports(
    connection: sa.Connection, trial: int, reports: Mapping[int, float | None], metric: str
) -> None:
    """Reports of a trial: step → value of the metric."""
    rows = [
        {
            "trial_id": trial,
            "step": step,
            "attempt_id": 1,
            "at": START,
            "values": {metric: value, "train_loss": 0.5},
        }
        for step, value in reports.items()
    ]
    if rows:
        connection.execute(sa.insert(metrics), rows)
