"""A stand-in for the scheduler, as far as requests go."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from tests.factories import NOON
from tuner.db import Database, jobs, requests

Outcome = dict[str, Any]
#: Carries out one request and says what became of it.
Apply = Callable[[sa.Connection, sa.Row[Any]], Outcome]


class Scheduler:
    """Applies what waits, whenever the service waits for it: a waiter for `Service`."""

    def __init__(self, database: Database, *, apply: Apply | None = None, busy: int = 0) -> None:
        self._database = database
        self._apply = apply or (lambda connection, request: {"ok": True})
        #: How many waits pass before it looks at the requests.
        self._busy = busy
        self.waits: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) > self._busy:
            self.tick()

    def tick(self) -> None:
        with self._database.writing() as connection:
            waiting = sa.select(requests).where(requests.c.applied_at.is_(None))
            for request in connection.execute(waiting.order_by(requests.c.id)).all():
                outcome = self._apply(connection, request)
                done = sa.update(requests).where(requests.c.id == request.id)
                connection.execute(done.values(applied_at=NOON, outcome=outcome))


def moving(target: str) -> Apply:
    """A scheduler that brings the job into this state."""

    def apply(connection: sa.Connection, request: sa.Row[Any]) -> Outcome:
        statement = sa.update(jobs).where(jobs.c.id == request.job_id)
        connection.execute(statement.values(state=target))
        return {"ok": True}

    return apply
