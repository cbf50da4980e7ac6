"""Faults put to the local executor: whoever dies, nothing is left behind and nobody waits."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.executor_contract import PATIENCE_S, await_event, finish, order
from tests.processes import processes_with
from tuner.executors.local import OWNER_MARK, LocalExecutor
from tuner.protocol import Ended, ExecutorEvent, Judged, Reported, Verdict, WorkerEnded
from tuner.states import AttemptState, Reason


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalExecutor]:
    """For faults that the executor and its fork server survive."""
    with LocalExecutor(tmp_path_factory.mktemp("logs")) as executor:
        yield executor


@contextmanager
def watched(pid: int) -> Iterator[int]:
    """A handle on the living process that no other can be mistaken for."""
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def await_death(handle: int) -> None:
    ready, _, _ = select.select([handle], [], [], PATIENCE_S)
    assert ready, "the process lives on"


def marked(mark: str) -> set[int]:
    """All processes on this host that belong to the executor of this mark."""
    return processes_with(OWNER_MARK, mark)


def folders(mark: str) -> list[Path]:
    """The temporary folders of the executor of this mark."""
    return list(Path(tempfile.gettempdir()).glob(f"tuner-{mark}*"))


def parent_of(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def start_and_hear(executor: LocalExecutor, program: str, **payload: Any) -> Reported:
    """Start an attempt and wait for its first report."""
    start = order(program, **payload)
    executor.start(start)
    report = await_event(executor, start.attempt, (Reported, Ended, WorkerEnded))
    assert isinstance(report, Reported), report
    return report


def pid_in(report: Reported, name: str = "pid") -> int:
    return int(report.metrics[name])


def test_a_worker_killed_from_outside_is_lost_and_others_go_on(local: LocalExecutor) -> None:
    other = start_and_hear(local, "waits")
    report = start_and_hear(local, "waits")
    os.kill(pid_in(report), signal.SIGKILL)
    lost = await_event(local, report.attempt, (Ended, WorkerEnded))
    assert isinstance(lost, WorkerEnded)
    assert (lost.exit_code, lost.reason) == (-signal.SIGKILL, Reason.WORKER_LOST)
    assert "SIGKILL" in lost.detail
    local.send(Judged(attempt=other.attempt, step=1, verdict=Verdict.CONTINUE))
    assert await_event(local, other.attempt, Reported).step == 1
    local.kill(other.attempt)
    await_event(local, other.attempt, WorkerEnded)


@pytest.mark.parametrize("ending", ["by itself", "by kill", "by a signal"])
def test_children_and_daemons_end_with_their_attempt(local: LocalExecutor, ending: str) -> None:
    report = start_and_hear(local, "has_children")
    with ExitStack() as stack:
        handles = [
            stack.enter_context(watched(pid_in(report, name)))
            for name in ("pid", "child", "daemon")
        ]
        if ending == "by itself":
            local.send(Judged(attempt=report.attempt, step=1, verdict=Verdict.CONTINUE))
        elif ending == "by kill":
            local.kill(report.attempt)
        else:
            os.kill(pid_in(report), signal.SIGSEGV)
        await_event(local, report.attempt, (Ended, WorkerEnded))
        for handle in handles:
            await_death(handle)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\xff\xff\xff\xff and more", id="a length beyond all reason"),
        pytest.param(b"\0\0\0\x05hello", id="no JSON"),
        pytest.param(b"\0\0\0\x02{}", id="no type"),
        pytest.param(b"\0\0\x27\x10" + b"[" * 10_000, id="nested without end"),
        pytest.param(
            b'\0\0\0\x39{"type": "Reported", "attempt": -7, "step": 1, "metrics": {}',
            id="cut short of its own length",
        ),
    ],
)
def test_a_worker_that_breaks_the_protocol_is_ended(local: LocalExecutor, sent: bytes) -> None:
    start = order("writes_on_the_channel", hex=sent.hex())
    local.start(start)
    lost = await_event(local, start.attempt, (Ended, WorkerEnded))
    assert isinstance(lost, WorkerEnded)
    assert "Not a message" in lost.detail


def test_a_worker_cannot_speak_for_anothers_attempt(local: LocalExecutor) -> None:
    victim = start_and_hear(local, "waits")
    body = json.dumps(
        {"type": "Ended", "attempt": victim.attempt, "state": "succeeded", "value": 1.0}
    ).encode()
    forger = order("writes_on_the_channel", hex=(len(body).to_bytes(4) + body).hex())
    local.start(forger)
    lost = await_event(local, forger.attempt, (Ended, WorkerEnded))
    assert isinstance(lost, WorkerEnded)
    local.kill(victim.attempt)
    assert isinstance(await_event(local, victim.attempt, (Ended, WorkerEnded)), WorkerEnded)


def test_half_a_frame_holds_nobody_up(local: LocalExecutor) -> None:
    start = order("writes_on_the_channel", hex=b"\0\0\0\xff{".hex())
    local.start(start)
    assert finish(local, order("returns")).state is AttemptState.SUCCEEDED
    local.kill(start.attempt)
    await_event(local, start.attempt, WorkerEnded)


def test_a_worker_that_does_not_listen_holds_nobody_up(local: LocalExecutor) -> None:
    report = start_and_hear(local, "deaf")
    for _ in range(20_000):
        local.send(Judged(attempt=report.attempt, step=1, verdict=Verdict.CONTINUE))
    assert finish(local, order("returns")).state is AttemptState.SUCCEEDED
    local.kill(report.attempt)
    await_event(local, report.attempt, WorkerEnded)


def test_leaving_the_executor_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with LocalExecutor(tmp_path, spares=2) as executor:
            report = start_and_hear(executor, "has_children")
            finish(executor, order("describes", gpus=(1,)))
            handles = [stack.enter_context(watched(pid)) for pid in marked(executor.mark)]
            assert len(handles) >= 6  # fork server, two workers, child, daemon, spare
            assert pid_in(report, "daemon") in marked(executor.mark)
            assert folders(executor.mark) != []
        for handle in handles:
            await_death(handle)
    assert marked(executor.mark) == set()
    assert folders(executor.mark) == []


def test_leaving_while_the_fork_server_still_imports_leaves_nothing(tmp_path: Path) -> None:
    with LocalExecutor(tmp_path) as executor:
        executor.start(order("waits"))
    assert marked(executor.mark) == set()


def test_an_executor_that_started_nothing_has_no_process(tmp_path: Path) -> None:
    with LocalExecutor(tmp_path) as executor:
        assert list(executor.poll(0)) == []
        assert marked(executor.mark) == set()


def test_attempts_of_a_killed_fork_server_are_lost_and_the_next_starts_another(
    local: LocalExecutor,
) -> None:
    reports = [start_and_hear(local, "has_children") for _ in range(2)]
    with ExitStack() as stack:
        server = parent_of(pid_in(reports[0]))
        handles = [
            stack.enter_context(watched(pid_in(report, name)))
            for report in reports
            for name in ("pid", "child", "daemon")
        ]
        os.kill(server, signal.SIGKILL)
        lost: list[ExecutorEvent] = []
        while len(lost) < 2:
            lost += local.poll(PATIENCE_S)
        assert {event.attempts for event in lost if isinstance(event, WorkerEnded)} == {
            (report.attempt,) for report in reports
        }
        for handle in handles:
            await_death(handle)
    again = start_and_hear(local, "waits")
    assert parent_of(pid_in(again)) != server
    local.kill(again.attempt)
    await_event(local, again.attempt, WorkerEnded)


def test_a_fork_server_killed_between_attempts_is_replaced(local: LocalExecutor) -> None:
    report = start_and_hear(local, "waits")
    server = parent_of(pid_in(report))
    local.kill(report.attempt)
    await_event(local, report.attempt, WorkerEnded)
    with watched(server) as handle:
        os.kill(server, signal.SIGKILL)
        await_death(handle)
    assert finish(local, order("returns")).state is AttemptState.SUCCEEDED


_SCHEDULER = """
import sys
from pathlib import Path
from tests.contracts.executor_contract import order
from tuner.executors.local import LocalExecutor
from tuner.protocol import Reported

with LocalExecutor(Path(sys.argv[1])) as executor:
    for _ in range(2):
        executor.start(order("has_children"))
    pids = []
    while len(pids) < 6:
        for event in executor.poll(60):
            assert isinstance(event, Reported), event
            pids += map(int, event.metrics.values())
    print(executor.mark, *pids, flush=True)
    executor.poll(600)
"""


def test_everything_ends_with_a_killed_scheduler(tmp_path: Path) -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-c", _SCHEDULER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as scheduler,
        ExitStack() as stack,
    ):
        assert scheduler.stdout is not None
        mark, *pids = scheduler.stdout.readline().split()
        everyone = marked(mark) | {int(pid) for pid in pids}
        assert len(everyone) >= 8  # fork server, spare, two workers with two children each
        handles = [stack.enter_context(watched(pid)) for pid in everyone]
        scheduler.kill()
        for handle in handles:
            await_death(handle)
    assert folders(mark) == []
