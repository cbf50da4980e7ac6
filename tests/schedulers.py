"""Schedulers as processes of their own, with quick programs: to be killed, stopped, continued."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from tests.factories import StoredJob, insert_job, make_spec
from tests.invariants import assert_invariants
from tests.witnessed import DOUBLED, SEEN
from tuner.artifacts.places import job_folder, trial_folder
from tuner.db import Database, attempts, events, jobs, metrics, trials
from tuner.executors.base import Executor
from tuner.executors.inline import InlineExecutor
from tuner.executors.local import LocalExecutor
from tuner.leader import lead
from tuner.leader.loop import Loop
from tuner.leader.orders import start_order
from tuner.leader.recovery import LiveJob
from tuner.protocol import StartAttempt
from tuner.scheduler.state import Attempt
from tuner.serving import log_lines
from tuner.settings import Settings
from tuner.store.leadership import Leader, leader_of

#: Longer than anything here takes on a busy machine.
PATIENCE_S = 600.0
EPOCHS = 4
LOG = "schedulers.log"
#: In the environment of all that schedulers start: the folder of their files.
MARK = "TUNER_HOME"


def _order(attempt: Attempt, live: LiveJob, settings: Settings) -> StartAttempt:
    program = f"tests.witnessed:{'pass_probe' if attempt.trial is None else 'work'}"
    return replace(start_order(attempt, live, settings), program=program)


def _local(settings: Settings) -> Executor:
    return LocalExecutor(settings.artifacts / "logs", modules=["tests.witnessed"])


def _inline(settings: Settings) -> Executor:
    return InlineExecutor()


def main(url: str, home: Path, executor: str) -> None:
    """A scheduler's process, but for what its attempts do, and where it logs.

    Killed, it leaves its temporary folders: in the test's.
    """
    tempfile.tempdir = str(home)
    os.environ[MARK] = str(home)
    with (home / LOG).open("a") as said:
        os.dup2(said.fileno(), 2)
    log_lines.configure("info")
    code = lead.main(
        Settings(home=home, database_url=url),
        executor_of={"local": _local, "inline": _inline}[executor],
        loop_of=partial(Loop, order_of=_order),
    )
    sys.exit(code)


#: Imports everything once; a scheduler is then a fork of it.
_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


class Schedulers:
    """Any number of schedulers on one database."""

    def __init__(self, database: Database, home: Path, executor: str) -> None:
        self.database = database
        self.home = home
        self._executor = executor
        self._processes: dict[int, BaseProcess] = {}

    def start(self) -> None:
        """One more."""
        url = self.database.url.render_as_string(hide_password=False)
        process = _PROCESSES.Process(target=main, args=(url, self.home, self._executor))
        process.start()
        assert process.pid is not None
        self._processes[process.pid] = process

    @property
    def leader(self) -> int | None:
        """The process that leads, if it is alive."""
        found = self.led_by()
        pid = int(found.holder.rpartition(":")[2]) if found else None
        return pid if pid in self._processes and self.is_alive(pid) else None

    def led_by(self) -> Leader | None:
        with self.database.asking() as asker:
            return leader_of(asker)

    def is_alive(self, pid: int) -> bool:
        return self._processes[pid].is_alive()

    def until(self, done: Callable[[], Any]) -> Any:
        """What `done` says, once that is something true."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := done()):
            assert time.monotonic() < deadline, f"it never happened\n{self.said()}"
            time.sleep(0.01)  # other processes do it, and tell nobody: it is asked for again
        return found

    def send(self, pid: int, number: signal.Signals) -> None:
        os.kill(pid, number)

    def ended(self, pid: int) -> int | None:
        """Its exit code, once it has ended."""
        self._processes[pid].join(PATIENCE_S)
        return self._processes[pid].exitcode

    def family(self, pid: int) -> list[psutil.Process]:
        """All processes it started, and they."""
        return list(psutil.Process(pid).children(recursive=True))

    def folder_of(self, job: StoredJob, number: int) -> Path:
        """Where attempts of the trial leave evidence of what they did."""
        return self.home / SEEN / trial_folder(job.ulid, number)

    def said(self) -> str:
        """What they logged."""
        log = self.home / LOG
        return log.read_text() if log.exists() else ""

    def close(self) -> None:
        """Kill what is left."""
        for process in self._processes.values():
            process.kill()
            process.join()

    # --- jobs

    def submit(self, count: int, seed: int = 0, epochs: int = EPOCHS, **spec: Any) -> StoredJob:
        """A job of so many trials, none of which is pruned."""
        spec = make_spec(
            **spec,
            budget={"trials": count, "epochs": epochs},
            search={"sampler": "random", "seed": seed, "pruner": "none"},
        )
        return insert_job(self.database, spec=spec, state="queued", started_at=None)

    def job(self, job: StoredJob) -> sa.RowMapping:
        with self.database.reading() as connection:
            return connection.execute(sa.select(jobs).where(jobs.c.id == job.id)).mappings().one()

    def reports(self, job: StoredJob) -> int:
        """How many steps of its trials are recorded."""
        query = sa.select(sa.func.count()).select_from(metrics.join(trials))
        with self.database.reading() as connection:
            return int(connection.execute(query.where(trials.c.job_id == job.id)).scalar_one())

    def finish(self, job: StoredJob) -> None:
        """Wait for its end, which is as if nothing had happened."""
        row = self.until(lambda: (row := self.job(job))["finished_at"] and row)
        budget = row["budget"]["trials"]
        assert (row["state"], row["created"], row["completed"]) == ("succeeded", budget, budget)
        assert self.reports(job) == budget * EPOCHS
        assert_invariants(self.database)

    def doubled(self, job: StoredJob) -> list[Path]:
        """Evidence of trials on which two worked at once."""
        return list((self.home / SEEN / job_folder(job.ulid)).rglob(DOUBLED))

    def rows(self) -> list[list[sa.Row[tuple[object, ...]]]]:
        """All that schedulers record about jobs."""
        with self.database.reading() as connection:
            tables = (jobs, trials, attempts, metrics, events)
            return [list(connection.execute(sa.select(table))) for table in tables]


def assert_gone(processes: list[psutil.Process]) -> None:
    """Wait for the ends of processes that nobody ends any more."""
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_S)
    assert not alive


@contextmanager
def schedulers(
    database: Database, home: Path, *, count: int, executor: str = "inline"
) -> Iterator[Schedulers]:
    """So many at once; nothing is left of them."""
    home.mkdir(parents=True, exist_ok=True)
    team = Schedulers(database, home, executor)
    try:
        for _ in range(count):
            team.start()
        yield team
    finally:
        team.close()
