"""Workers that live and come to nothing: stuck, stopped, or under a clock that was set."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from tests.contracts.executor_contract import finish, order
from tests.factories import StoredJob
from tests.faults.counting import Counts
from tests.faults.test_local_executor_faults import parent_of, start_and_hear
from tests.invariants import assert_invariants
from tests.stand import Stand
from tuner.db import Database
from tuner.executors.liveness import is_stopped
from tuner.executors.local import LocalExecutor
from tuner.protocol import ExecutorEvent, WorkerEnded
from tuner.settings import Settings
from tuner.states import AttemptState, Reason

Begin = Callable[[str], Stand]


@pytest.fixture
def begin(sqlite_database: Database, settings: Settings, tmp_path: Path) -> Iterator[Begin]:
    """A scheduler with real workers, whose clocks are the stand's."""
    with ExitStack() as stack:

        def begun(program: str) -> Stand:
            executor = LocalExecutor(tmp_path, clock=lambda: stand.steady())
            stand = Stand(sqlite_database, settings, executor, program=program)
            return stack.enter_context(stand)

        yield begun
    assert_invariants(sqlite_database)


def await_pid(stand: Stand, job: StoredJob) -> int:
    """The process of the job's trial 0, once it has said that it is amid its second epoch."""
    pids: list[int] = []

    def amid() -> bool:
        places = [attempt.place for attempt in stand.loop.state.attempts_of(job.id)]
        pids.extend(int(place.metrics["pid"]) for place in places if place is not None)
        return bool(pids)

    stand.until(amid)
    return pids[0]


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    while not is_stopped(pid):
        os.sched_yield()


def has_ended(pid: int) -> bool:
    """Whether the process is gone, or waits for nothing but to be reaped."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def await_end(pid: int) -> None:
    """Return once the process has ended; the test's time limit ends a wait in vain."""
    while not has_ended(pid):
        os.sched_yield()


def test_a_trial_that_is_stuck_ends_for_want_of_progress_and_frees_its_slot(begin: Begin) -> None:
    stand = begin("hang")
    limits = {"no_progress_minutes": 5}
    job = stand.submit(budget={"trials": 3, "epochs": 3}, parallel=1, limits=limits)
    pid = await_pid(stand, job)
    stand.later += timedelta(minutes=4)
    stand.loop.tick(0)
    assert stand.job(job)["running"] == 1
    stand.later += timedelta(minutes=2)
    row = stand.finish(job)
    assert (row["state"], row["completed"], row["failed"]) == ("succeeded", 2, 1)
    stuck = stand.attempts(job)[1]
    assert (stuck["state"], stuck["reason"]) == ("failed", "no_progress")
    assert stuck["detail"].splitlines() == [
        "It made no progress for limits.no_progress_minutes = 5.",
        "The last heard of it: 42 of 100 on the way to step 2.",
    ]
    assert has_ended(pid)


def test_a_worker_that_is_stopped_is_lost_after_ten_seconds_and_its_trial_goes_on(
    begin: Begin,
) -> None:
    stand = begin("hang")
    job = stand.submit(budget={"trials": 1, "epochs": 3})
    pid = await_pid(stand, job)
    stop(pid)

    def goes_on_later() -> bool:
        stand.later += timedelta(seconds=1)
        return len(stand.attempts(job)) == 3

    stand.until(goes_on_later)
    _, lost, _ = stand.attempts(job)
    assert (lost["state"], lost["reason"]) == ("lost", "worker_lost")
    assert lost["detail"] == f"Worker process {pid} was ended: it had been stopped for 10 s."
    assert has_ended(pid), "it is gone before its trial runs again"
    stand.answer(stand.request(job, "cancel"))
    stand.later += timedelta(seconds=31)
    stand.finish(job)


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_set_ends_no_trial_and_keeps_no_request_waiting(
    begin: Begin, days: int, rounds: Callable[[int, int], int], counted: Counts
) -> None:
    stand = begin("hang")
    limits = {"no_progress_minutes": 5, "trial_minutes": 5}
    job = stand.submit(budget={"trials": 1, "epochs": 3, "hours": 1.0}, limits=limits)
    await_pid(stand, job)
    with counted("the time of day set by a day, forth or back", "SQLite") as count:
        for jump in range(rounds(1, 50)):
            stand.wrong += timedelta(days=days)
            kind = "resume" if jump % 2 else "pause"
            assert stand.answer(stand.request(job, kind)) == {"ok": True}
            lost = stand.job(job)["running"] != 1
            count.add(1, trials_lost=lost, requests_kept_waiting=0)
            assert not lost
        if stand.job(job)["state"] == "running":
            stand.answer(stand.request(job, "pause"))
    row = stand.job(job)
    assert (row["state"], row["running"], row["failed"]) == ("paused", 1, 0)
    assert row["run_seconds"] < 3600
    stand.answer(stand.request(job, "cancel"))
    stand.later += timedelta(seconds=31)
    assert stand.finish(job)["state"] == "cancelled"


def test_a_stopped_fork_server_is_replaced_and_its_workers_are_lost(tmp_path: Path) -> None:
    later = 0.0
    with LocalExecutor(tmp_path, clock=lambda: time.monotonic() + later) as executor:
        report = start_and_hear(executor, "waits")
        stop(parent_of(int(report.metrics["pid"])))
        heard: list[ExecutorEvent] = []
        while not heard:
            later += 1
            heard += executor.poll(0)
        (lost,) = heard
        assert isinstance(lost, WorkerEnded)
        assert (lost.attempts, lost.reason) == ((report.attempt,), Reason.WORKER_LOST)
        # The kernel takes a moment to end what was killed.
        await_end(int(report.metrics["pid"]))
        assert finish(executor, order("returns")).state is AttemptState.SUCCEEDED
