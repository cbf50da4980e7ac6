"""Requests: what the API asks of the scheduler, and what became of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tuner.db import requests
from tuner.store.rows import Row

_WAITING = (
    sa.select(requests.c.id, requests.c.kind)
    .where(
        requests.c.job_id == sa.bindparam("job", type_=sa.BigInteger),
        requests.c.applied_at.is_(None),
    )
    .order_by(requests.c.id)
)
_ONE = sa.select(requests.c.applied_at, requests.c.outcome).where(
    requests.c.id == sa.bindparam("request", type_=sa.BigInteger)
)
_ALL_WAITING = (
    sa.select(sa.func.count()).select_from(requests).where(requests.c.applied_at.is_(None))
)


def insert_request(
    connection: sa.Connection, job: int, kind: str, payload: Mapping[str, Any], now: datetime
) -> int:
    """Put a request in the queue; its id."""
    values = {"job_id": job, "kind": kind, "payload": dict(payload), "created_at": now}
    statement = sa.insert(requests).returning(requests.c.id)
    identifier: int = connection.execute(statement, values).scalar_one()
    return identifier


def waiting_requests(connection: sa.Connection, job: int) -> Sequence[Row]:
    """`id` and `kind` of the job's requests that the scheduler has not applied yet, in order."""
    return connection.execute(_WAITING, {"job": job}).all()


def request_state(connection: sa.Connection, request: int) -> Row | None:
    """`applied_at` and `outcome` of a request; None where its job is deleted."""
    return connection.execute(_ONE, {"request": request}).one_or_none()


def count_waiting(connection: sa.Connection) -> int:
    """How many requests no scheduler has applied yet."""
    return connection.execute(_ALL_WAITING).scalar_one()
