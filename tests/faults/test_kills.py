"""Workers and schedulers killed and stopped at random moments: each trial ends, and once."""

import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from tests.factories import StoredJob
from tests.faults.counting import Count, Counts
from tests.invariants import assert_invariants
from tests.processes import has, processes_with
from tests.schedulers import MARK, Schedulers, schedulers
from tests.witnessed import TRAINED
from tuner.db import Database, attempts, events, metrics, trials
from tuner.scheduler.retry import MAX_COUNTED_ATTEMPTS
from tuner.states import LIVE_TRIALS, TrialState

pytestmark = pytest.mark.timeout(7200)

Rounds = Callable[[int, int], int]
EPOCHS = 8
#: Four trials at once on each core, since they sleep most of the time.
SMALL = {"resources": {"cpus": 0.25}}
#: Seconds for which a worker is stopped: shorter than what it is given up after, about as long, for
#: good.
STOPPED_S = (0.3, 3.0, 9.5, 10.5, math.inf)
#: So many stopped workers at once leave room for others.
STOPPED_AT_ONCE = 3
#: For a job; then those of its trials that have not ended are counted as stuck.
LONGEST_S = 1800.0
#: The kernel ends what is to end with its parent; a busy machine takes a moment.
ORPHAN_AFTER_S = 30.0


@dataclass(slots=True, kw_only=True)
class Killer:
    """Strikes the workers of a job and their schedulers at random moments.

    No trial loses so many attempts that it may end for it.
    """

    team: Schedulers
    job: StoredJob
    chance: random.Random
    #: For how long workers are stopped.
    stopped_s: Sequence[float]
    hits: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    _struck: Counter[int] = field(default_factory=Counter)
    #: Handles on stopped workers, with the moments to continue them.
    _stopped: list[tuple[float, int]] = field(default_factory=list)

    def strike_until_the_end(self, *, kills: int, stops: int, leaders: int) -> None:
        """Strike until the job has ended, at most so often."""
        deadline = time.monotonic() + LONGEST_S
        while (row := self.team.job(self.job))["finished_at"] is None:
            if time.monotonic() > deadline:
                break  # its trials are counted as stuck
            time.sleep(self.chance.uniform(0.02, 0.1))  # a random moment
            self._continue_some()
            due = (self.hits["schedulers_killed"] + 1) * row["budget"]["trials"] / (leaders + 1)
            if self.hits["schedulers_killed"] < leaders and row["completed"] >= due:
                self._kill_leader()
            elif self.hits["workers_stopped"] < stops and self.chance.random() < stops / (
                stops + kills
            ):
                self._stop_one()
            elif self.hits["workers_killed"] < kills:
                self._kill_one()
        for _, handle in self._stopped:
            os.close(handle)

    def _kill_one(self) -> None:
        if (handle := self._somebody("workers_killed")) is not None:
            _send(handle, signal.SIGKILL)
            os.close(handle)

    def _stop_one(self) -> None:
        if (
            len(self._stopped) < STOPPED_AT_ONCE
            and (handle := self._somebody("workers_stopped")) is not None
        ):
            _send(handle, signal.SIGSTOP)
            self._stopped.append((time.monotonic() + self.chance.choice(self.stopped_s), handle))

    def _continue_some(self) -> None:
        now = time.monotonic()
        for until, handle in self._stopped.copy():
            if until < now or _has_ended(handle):
                _send(handle, signal.SIGCONT)
                os.close(handle)
                self._stopped.remove((until, handle))

    def _kill_leader(self) -> None:
        if (leader := self.team.leader) is None:
            return
        family = self.team.family(leader)
        self.team.send(leader, signal.SIGKILL)
        self.hits["schedulers_killed"] += 1
        self.orphans += len(psutil.wait_procs(family, timeout=ORPHAN_AFTER_S)[1])
        self.team.start()

    def _somebody(self, hit: str) -> int | None:
        """A handle on a worker at work, whose trial may lose one more attempt."""
        running = sa.select(attempts.c.id, trials.c.number).join(trials)
        query = running.where(attempts.c.job_id == self.job.id, attempts.c.state == "running")
        with self.team.database.reading() as connection:
            found = connection.execute(query).all()
        self.chance.shuffle(found)
        for attempt, number in found:
            if self._struck[number] < MAX_COUNTED_ATTEMPTS - 1:
                handle = self._worker(self.team.folder_of(self.job, number) / f"{attempt}.pid")
                if handle is not None:
                    self._struck[number] += 1
                    self.hits[hit] += 1
                    return handle
        return None

    def _worker(self, file: Path) -> int | None:
        """A handle on the worker that wrote its number to the file, if it lives."""
        with suppress(OSError, ValueError):
            handle = os.pidfd_open(pid := int(file.read_text()))
            if has(pid, MARK, str(self.team.home)):
                return handle
            os.close(handle)  # the number is another's by now
        return None


def _send(handle: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)


def _has_ended(handle: int) -> bool:
    try:
        signal.pidfd_send_signal(handle, 0)
    except ProcessLookupError:
        return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of the trials of a job; all of these should be none."""

    #: Of the budget: without their result, or without a report of each of their epochs.
    lost: int
    #: Trials that two worked on at once, or that ended twice.
    doubled: int
    #: Trials that have not ended.
    stuck: int
    #: Trials of which more epochs were trained again than attempts were lost.
    repeated: int


def account_of(team: Schedulers, job: StoredJob, count: Count) -> Account:
    """The account of a job that should have ended; what was done once more is counted."""
    steps = sa.select(metrics.c.trial_id).join(trials, trials.c.id == metrics.c.trial_id)
    done = sa.select(events.c.trial).where(events.c.kind == "trial_completed")
    lost = sa.select(attempts.c.trial_id).where(attempts.c.state == "lost")
    with team.database.reading() as connection:
        rows = connection.execute(sa.select(trials).where(trials.c.job_id == job.id)).all()
        steps_of = Counter(connection.scalars(steps.where(trials.c.job_id == job.id)))
        ends_of = Counter(connection.scalars(done.where(events.c.job_id == job.id)))
        lost_of = Counter(connection.scalars(lost.where(attempts.c.job_id == job.id)))
    again = {row.id: _epochs_trained(team, job, row.number) - EPOCHS for row in rows}
    count.add(attempts_lost=lost_of.total(), epochs_trained_again=sum(again.values()))
    done_by = [row for row in rows if row.state == TrialState.COMPLETED]
    return Account(
        lost=team.job(job)["budget"]["trials"] - sum(steps_of[row.id] == EPOCHS for row in done_by),
        doubled=len(team.doubled(job)) + sum(number > 1 for number in ends_of.values()),
        stuck=sum(row.state in LIVE_TRIALS for row in rows),
        repeated=sum(number > lost_of[trial] for trial, number in again.items()),
    )


def _epochs_trained(team: Schedulers, job: StoredJob, number: int) -> int:
    return len((team.folder_of(job, number) / TRAINED).read_text().split())


def survivors(home: Path) -> int:
    """How many processes of schedulers that are gone do not end by themselves."""
    deadline = time.monotonic() + ORPHAN_AFTER_S
    while (found := processes_with(MARK, str(home))) and time.monotonic() < deadline:
        os.sched_yield()
    return len(found)


def test_whoever_is_killed_or_stopped_each_trial_ends_once(
    database: Database, tmp_path: Path, rounds: Rounds, counted: Counts
) -> None:
    fault = "workers killed and stopped, schedulers killed, at random moments"
    size, kills, stops, leaders = rounds(8, 200), rounds(4, 110), rounds(1, 20), rounds(1, 10)
    with counted(fault, database) as count:
        for seed in range(rounds(1, 5)):
            with schedulers(database, tmp_path / str(seed), count=2, executor="local") as team:
                job = team.submit(size, seed=seed, epochs=EPOCHS, **SMALL)
                chance, times = random.Random(seed), STOPPED_S[: rounds(1, len(STOPPED_S))]
                killer = Killer(team=team, job=job, chance=chance, stopped_s=times)
                killer.strike_until_the_end(kills=kills, stops=stops, leaders=leaders)
                account = account_of(team, job, count)
            orphans = killer.orphans + survivors(tmp_path / str(seed))
            count.add(injected=killer.hits.total(), **killer.hits, trials=size)
            count.add(**asdict(account), orphan_processes=orphans)
            row, found = team.job(job), asdict(account) | {"orphans": orphans}
            assert row["finished_at"], f"it did not end within {LONGEST_S:g} s\n{team.said()}"
            assert not any(found.values()), f"{found}\n{team.said()}"
            assert row["state"] == "succeeded"
            assert killer.hits["schedulers_killed"] == leaders
            assert_invariants(database)
        assert killer.hits["workers_killed"] > 0
