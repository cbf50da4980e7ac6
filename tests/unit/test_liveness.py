"""Stopped processes are noticed by their state, and given up after ten seconds."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tuner.executors.liveness import Liveness, is_stopped


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def process() -> Iterator[int]:
    """A process that waits for input."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as cat:
        yield cat.pid
        cat.kill()


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)


def go_on(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)
    os.waitid(os.P_PID, pid, os.WCONTINUED | os.WNOWAIT)


def looks(clock: Clock, liveness: Liveness, pid: int, seconds: int) -> list[int]:
    """Look once a second; the process ids given up at the last look."""
    found: list[int] = []
    for _ in range(seconds):
        clock.now += 1
        found = liveness.given_up([pid])
    return found


def test_a_process_that_stays_stopped_is_given_up_after_ten_seconds(process: int) -> None:
    clock = Clock()
    liveness = Liveness(clock)
    stop(process)
    assert looks(clock, liveness, process, 10) == []
    assert looks(clock, liveness, process, 1) == [process]


def test_one_that_is_continued_in_time_is_not(process: int) -> None:
    clock = Clock()
    liveness = Liveness(clock)
    stop(process)
    looks(clock, liveness, process, 9)
    go_on(process)
    assert looks(clock, liveness, process, 1) == []
    stop(process)
    assert looks(clock, liveness, process, 9) == []


def test_time_in_which_nobody_looked_does_not_count(process: int) -> None:
    clock = Clock()
    liveness = Liveness(clock)
    stop(process)
    looks(clock, liveness, process, 2)
    clock.now += 3600
    assert looks(clock, liveness, process, 10) == []
    assert looks(clock, liveness, process, 1) == [process]


def test_looks_are_a_second_apart_at_least(process: int) -> None:
    clock = Clock()
    liveness = Liveness(clock)
    stop(process)
    looks(clock, liveness, process, 11)
    clock.now += 0.5
    assert liveness.given_up([process]) == []


def test_a_process_that_runs_or_has_ended_is_not_stopped(process: int) -> None:
    assert not is_stopped(process)
    assert not is_stopped(2**22 + 1)
