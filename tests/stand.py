"""A scheduler under test: a real loop on a real database, with quick programs."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from tests.factories import StoredJob, insert_job, make_spec
from tuner.clock import utc_now
from tuner.db import Database, attempts, events, jobs, requests, trials
from tuner.executors.base import Executor
from tuner.leader.loop import Loop
from tuner.leader.orders import start_order
from tuner.leader.recovery import LiveJob
from tuner.protocol import StartAttempt, Verdict
from tuner.scheduler.state import Attempt
from tuner.settings import Settings
from tuner.spec import TrainingSpec
from tuner.trial import Context, Outcome

#: Longer than anything here takes on a busy machine.
PATIENCE_S = 300.0


def climb(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Reports once per epoch a value that depends on lr alone, best near 0.01; then it is done."""
    recipe = payload["recipe"]
    best = 1.0 / (1.0 + abs(recipe["config"]["lr"] - 0.01) * 100)
    for step in range(1, recipe["epochs"] + 1):
        value = best * step / recipe["epochs"]
        context.report(step, {payload["metric"]: value})
        match context.verdict(step):
            case Verdict.PRUNE:
                return Outcome.pruned(value, {"best_step": step})
            case Verdict.STOP:
                return Outcome.stopped(context.stop_reason or payload["unasked"])
            case Verdict.CONTINUE:
                pass
    return Outcome.succeeded(best, {"best_step": recipe["epochs"]})


def wait(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Reports until it is told to stop."""
    step = 0
    while True:
        step += 1
        context.report(step, {payload["metric"]: 0.5})
        if context.verdict(step) is Verdict.STOP and context.stop_reason is not None:
            return Outcome.stopped(context.stop_reason)


def hang(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Trial 0 gets stuck amid its second epoch; the others are done with it."""
    context.report(1, {payload["metric"]: 0.5})
    context.verdict(1)
    if payload["folder"].endswith("/0"):
        context.progress(2, 42, 100, {"pid": os.getpid()})
        signal.pause()
    return Outcome.succeeded(0.5, {"best_step": 1})


def fail(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Raises, as a user's code does."""
    raise ValueError(f"lr is {payload['recipe']['config']['lr'] > 0}")


def pass_probe(payload: Mapping[str, Any], context: Context) -> Outcome:
    """A probe that finds nothing wrong."""
    return Outcome.succeeded(0.0, {"parameters": 1})


class Stand:
    """A loop that runs while one waits for something."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        executor: Executor,
        *,
        program: str = "climb",
        probe: str = "pass_probe",
        through: Database | None = None,
    ) -> None:
        """The scheduler reaches the database `through` another way to it, if one is given."""
        self.database = database
        #: The scheduler's own, which may be on a condition.
        self.loop_database = through or database
        self.settings = settings
        self.executor = executor
        #: How much later it is here than elsewhere, and how much later clocks wrongly say it is.
        self.later, self.wrong = timedelta(), timedelta()
        #: What trials and probes run: a function of this module, or ``package.module:function``.
        self.program, self.probe = program, probe
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.executor)
        self.begin()
        self._stack.callback(lambda: self.loop.close())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def begin(self) -> None:
        """Start the scheduler, as its process does: from the database alone."""
        self.loop = Loop(
            self.loop_database,
            self.settings,
            self.executor,
            clock=lambda: utc_now() + self.later + self.wrong,
            steady=self.steady,
            order_of=self._order,
        )

    def steady(self) -> float:
        """Seconds on a clock that nobody sets."""
        return time.monotonic() + self.later.total_seconds()

    def _order(self, attempt: Attempt, live: LiveJob, settings: Settings) -> StartAttempt:
        order = start_order(attempt, live, settings)
        if not isinstance(live.spec, TrainingSpec):
            return order  # foreign code is its own program
        name = self.probe if attempt.trial is None else self.program
        return replace(order, program=name if ":" in name else f"tests.stand:{name}")

    def submit(self, **spec: Any) -> StoredJob:
        """A queued job that trains, as the API leaves it."""
        return self.submit_as_written(make_spec(**spec))

    def submit_as_written(self, spec: Mapping[str, Any]) -> StoredJob:
        """A queued job of any kind, as the API leaves it."""
        return insert_job(self.database, spec=spec, state="queued", started_at=None)

    def request(self, job: StoredJob, kind: str, **payload: Any) -> int:
        """A request, as the API leaves it."""
        row = {"job_id": job.id, "kind": kind, "payload": payload, "created_at": utc_now()}
        with self.database.writing() as connection:
            statement = sa.insert(requests).returning(requests.c.id)
            return int(connection.execute(statement, row).scalar_one())

    def until(self, done: Callable[[], object]) -> None:
        """Let the scheduler work until `done` says something true."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline, "it never happened"
            self.loop.tick(0.05)

    def finish(self, job: StoredJob) -> sa.RowMapping:
        """Let the job come to its end; its row."""
        self.until(lambda: self.job(job)["finished_at"])
        return self.job(job)

    def answer(self, request: int) -> Any:
        """What the request is answered."""
        found: list[Any] = []

        def answered() -> bool:
            with self.database.reading() as connection:
                query = sa.select(requests.c.outcome).where(requests.c.id == request)
                found[:] = [row.outcome for row in connection.execute(query)]
            return bool(found and found[0])

        self.until(answered)
        return found[0]

    def job(self, job: StoredJob) -> sa.RowMapping:
        with self.database.reading() as connection:
            return connection.execute(sa.select(jobs).where(jobs.c.id == job.id)).mappings().one()

    def trials(self, job: StoredJob) -> list[sa.RowMapping]:
        return self._rows(sa.select(trials).where(trials.c.job_id == job.id), trials.c.number)

    def attempts(self, job: StoredJob) -> list[sa.RowMapping]:
        return self._rows(sa.select(attempts).where(attempts.c.job_id == job.id), attempts.c.id)

    def events(self, job: StoredJob) -> list[sa.RowMapping]:
        return self._rows(sa.select(events).where(events.c.job_id == job.id), events.c.seq)

    def _rows(self, query: sa.Select[Any], order: sa.Column[Any]) -> list[sa.RowMapping]:
        with self.database.reading() as connection:
            return list(connection.execute(query.order_by(order)).mappings())
