"""Metric points accepted and committed per second, beside Optuna's `trial.report`.

The service's loop on a real database, with attempts that cost nothing: an executor in its place
feeds reports of seven metrics as fast as the loop takes them, each attempt awaiting its verdict
before its next step, as a trainer does. From the submission to the end of the job; the points are
counted in the database. Optuna reports one value at a time to its RDBStorage, one process.

    python -m benchmarks.ingest [--trials 64] [--steps 300] [--attempts 32] [--reports 600]
"""

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from benchmarks.figures import surroundings, table
from benchmarks.scheduling import Scheduling, both_databases, empty_home
from tuner.db import Database, metrics, trials
from tuner.protocol import Ended, ExecutorEvent, Judged, Reported, StartAttempt, StopAttempt
from tuner.settings import Settings
from tuner.slots import Device, Inventory
from tuner.states import AttemptState

NAMES = (
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
    "samples_per_second",
)
TARGET = 5000


class Feeder:
    """An executor whose attempts report their next step as soon as the last one is judged."""

    def __init__(self, attempts: int, steps: int) -> None:
        self._attempts = attempts
        self._steps = steps
        self._events: list[ExecutorEvent] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._events.clear()

    def inventory(self) -> Inventory:
        cores = float(self._attempts)
        cpu = Device(name="cpu", kind="cpu", capacity=cores, free=cores, memory_mb=64_000)
        return Inventory(host="bench", devices=(cpu,))

    def start(self, order: StartAttempt) -> None:
        if "folder" in order.payload:
            self._report(order.attempt, 1)
        else:
            self._end(order.attempt)  # the probe

    def send(self, message: Judged | StopAttempt) -> None:
        if isinstance(message, StopAttempt) or message.step == self._steps:
            self._end(message.attempt)
        else:
            self._report(message.attempt, message.step + 1)

    def kill(self, attempt: int) -> None:
        self._events = [event for event in self._events if event.attempt != attempt]

    def wake(self) -> None:
        """There is nothing to wake: `poll` never waits."""

    def poll(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        events, self._events = self._events, []
        return events

    def _report(self, attempt: int, step: int) -> None:
        values = {name: (attempt * step % 997) / 997 for name in NAMES}
        self._events.append(Reported(attempt=attempt, step=step, metrics=values))

    def _end(self, attempt: int) -> None:
        self._events.append(Ended(attempt=attempt, state=AttemptState.SUCCEEDED, value=0.5))


def ours(url: str, settings: Settings, count: int, steps: int, attempts: int) -> float:
    """Points per second through the service's loop."""
    with closing(Database(url)) as database, Feeder(attempts, steps) as executor:
        scheduling = Scheduling(database, settings, executor, "benchmarks.scheduling:pass_probe")
        began = time.perf_counter()
        job = scheduling.finish(
            budget={"trials": count, "epochs": steps},
            parallel=attempts,
            search={"sampler": "random", "pruner": "none"},
        )
        seconds = time.perf_counter() - began
        scheduling.loop.close()
        query = sa.select(sa.func.count()).select_from(metrics).join(trials)
        with database.reading() as connection:
            rows = connection.execute(query.where(trials.c.job_id == job)).scalar_one()
    assert rows == count * steps, f"{rows} of {count * steps} steps are in the database"
    return float(rows * len(NAMES) / seconds)


def optunas(url: str, reports: int) -> float:
    """Points per second through `trial.report`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(url.replace("postgresql:", "postgresql+psycopg:"))
    trial = optuna.create_study(storage=storage).ask()
    trial.report(0.5, 0)
    began = time.perf_counter()
    for step in range(1, reports + 1):
        trial.report(0.5, step)
    seconds = time.perf_counter() - began
    stored = len(storage.get_trial(trial._trial_id).intermediate_values)
    storage.remove_session()
    assert stored == reports + 1, f"{stored} of {reports + 1} reports are stored"
    return reports / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--attempts", type=int, default=32, help="that run at once")
    parser.add_argument("--reports", type=int, default=600, help="of Optuna")
    given = parser.parse_args()
    rows = []
    with empty_home() as settings, both_databases(settings) as urls:
        optuna_urls = {
            "SQLite": f"sqlite:///{settings.root / 'optuna.db'}",
            "PostgreSQL": urls.pop("other"),
        }
        for name, url in urls.items():
            theirs = optunas(optuna_urls[name], given.reports)
            points = ours(url, settings, given.trials, given.steps, given.attempts)
            figures = (f"{points:,.0f}", f"{theirs:,.0f}", f"{points / theirs:.0f}×")
            rows.append((name, *figures, f"≥ {TARGET:,}"))
    print(surroundings(), end="\n\n")
    header = ("database", "points/s", "Optuna's report, points/s", "ratio", "target")
    print(table(header, rows))


if __name__ == "__main__":
    main()
