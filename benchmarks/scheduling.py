"""A scheduler in this process, on an empty database, with programs of a benchmark's own."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.postgres import PostgresServer
from tuner.db import Database, jobs
from tuner.executors.base import Executor
from tuner.leader.loop import Loop
from tuner.leader.orders import start_order
from tuner.leader.recovery import LiveJob
from tuner.protocol import StartAttempt
from tuner.scheduler.state import Attempt
from tuner.schema import upgrade
from tuner.service import Service
from tuner.settings import Settings
from tuner.trial import Context, Outcome

#: What every job here tunes in name; its programs do something else.
SPEC: Mapping[str, Any] = {
    "model": "mlp",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "adamw",
}
#: The loop's longest wait, as the scheduler's process has it.
TICK_S = 0.1
#: PostgreSQL as it is installed: what is committed survives a power cut.
DURABLE = ("shared_buffers=128MB",)


def pass_probe(payload: Mapping[str, Any], context: Context) -> Outcome:
    """A probe that finds nothing wrong."""
    return Outcome.succeeded(0.0)


class Scheduling:
    """The service's loop around `executor`, whose attempts all do `program`."""

    def __init__(
        self, database: Database, settings: Settings, executor: Executor, program: str
    ) -> None:
        self.database = database
        self._service = Service(database, settings)
        self._program = program
        self.loop = Loop(database, settings, executor, order_of=self._order)

    def _order(self, attempt: Attempt, live: LiveJob, settings: Settings) -> StartAttempt:
        order = start_order(attempt, live, settings)
        probe = "benchmarks.scheduling:pass_probe"
        return replace(order, program=probe if attempt.trial is None else self._program)

    def finish(self, **spec: Any) -> int:
        """Submit a job and schedule until it is finished; its id in the tables."""
        view, _ = self._service.submit({**SPEC, **spec}, idempotency_key=None)
        query = sa.select(jobs.c.id, jobs.c.finished_at).where(jobs.c.ulid == view.id)
        while True:
            # A look at every 20th tick: the benchmark must not be what is measured.
            for _ in range(20):
                self.loop.tick(TICK_S)
            with self.database.reading() as connection:
                row = connection.execute(query).one()
            if row.finished_at is not None:
                return int(row.id)


@contextmanager
def empty_home() -> Iterator[Settings]:
    """Settings whose everything lies in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as folder:
        settings = Settings(home=Path(folder))
        settings.artifacts.mkdir(parents=True)
        yield settings


@contextmanager
def both_databases(settings: Settings) -> Iterator[dict[str, str]]:
    """Addresses of an empty database of each kind; ``other`` is on PostgreSQL, without tables."""
    with PostgresServer(DURABLE) as server:
        urls = {"SQLite": f"sqlite:///{settings.root / 'bench.db'}"}
        urls["PostgreSQL"] = server.create("bench")
        for url in urls.values():
            with closing(Database(url)) as database:
                upgrade(database)
        yield urls | {"other": server.create("other")}
