"""The local executor keeps the contract, with real processes; and what only processes promise."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.executor_contract import (
    ExecutorContract,
    await_event,
    conduct_all,
    finish,
    order,
)
from tuner.executors.local import LocalExecutor
from tuner.protocol import Ended, Reported, WorkerEnded
from tuner.states import AttemptState, Reason
from tuner.workers import logs


@pytest.fixture(scope="module")
def log_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def local(log_root: Path) -> Iterator[LocalExecutor]:
    """One for the whole file: its fork server takes seconds to import PyTorch."""
    with LocalExecutor(log_root, modules=["tests.programs"]) as executor:
        yield executor


@pytest.fixture
def executor(local: LocalExecutor) -> LocalExecutor:
    return local


class TestLocalExecutor(ExecutorContract):
    """The contract, with a process per attempt."""


class TestProcesses:
    """Each attempt has a process of its own, made for it."""

    def test_two_attempts_on_the_cpu_never_share_a_process(self, executor: LocalExecutor) -> None:
        pids = {finish(executor, order("describes")).facts["pid"] for _ in range(3)}
        assert len(pids) == 3
        assert os.getpid() not in pids

    def test_a_worker_looks_as_if_started_for_the_attempt(self, executor: LocalExecutor) -> None:
        facts = finish(executor, replace(order("describes"), threads=2)).facts
        assert facts["threads"] == 2
        assert facts["device"] == "cpu"
        assert facts["visible"] == ""
        assert facts["cuda"] is False
        assert facts["stdin"] == ""
        assert facts["tmp"] == facts["scratch"]
        assert facts["nice"] == min(19, os.nice(0) + 5)
        assert facts["nice_as_a_session"] in (5, None)
        assert facts["oom_score_adj"] >= 500

    def test_modules_named_beforehand_are_imported_once_for_all_workers(
        self, executor: LocalExecutor
    ) -> None:
        first, second = (finish(executor, order("describes")).facts for _ in range(2))
        assert first["imported_by"] == second["imported_by"] != first["pid"]

    def test_workers_draw_different_numbers_without_a_seed(self, executor: LocalExecutor) -> None:
        start = replace(order("describes"), foreign=True)
        again = replace(order("describes"), foreign=True)
        first, second = (finish(executor, each).facts["drawn"] for each in (start, again))
        assert all(one != other for one, other in zip(first, second, strict=True))

    def test_no_key_at_the_terminal_reaches_a_worker(self, executor: LocalExecutor) -> None:
        facts = finish(executor, order("describes")).facts
        assert facts["session"] == facts["group"] == facts["pid"] != os.getsid(0)

    def test_a_worker_does_not_execute_the_main_module_again(self, executor: LocalExecutor) -> None:
        assert finish(executor, order("describes")).facts["main"] is None

    def test_a_worker_computes_with_all_its_threads(self, executor: LocalExecutor) -> None:
        assert finish(executor, replace(order("computes_in_parallel"), threads=4)).value == 1.0

    def test_ended_workers_leave_no_file_open_here(self, executor: LocalExecutor) -> None:
        def open_files() -> int:
            # The end of a worker is heard in some later poll: kill, whose end is told, is last.
            last = order("waits")
            executor.start(last)
            await_event(executor, last.attempt, Reported)
            executor.kill(last.attempt)
            await_event(executor, last.attempt, WorkerEnded)
            return len(os.listdir("/proc/self/fd"))

        conduct_all(executor, [order("returns") for _ in range(4)])
        before = open_files()
        conduct_all(executor, [order("returns") for _ in range(20)])
        assert open_files() <= before + 8


class TestGpuWorkers:
    """A context costs seconds, so a worker stays for the next attempt on its GPU."""

    def test_a_worker_serves_its_gpu_again_after_a_clean_end(self, executor: LocalExecutor) -> None:
        first = finish(executor, order("describes", gpus=(5,))).facts
        second = finish(executor, order("describes", gpus=(5,))).facts
        assert first["pid"] == second["pid"]
        assert first["visible"] == "5"
        assert first["device"] == "cuda:0"

    def test_each_gpu_has_workers_of_its_own(self, executor: LocalExecutor) -> None:
        first = finish(executor, order("describes", gpus=(3,))).facts
        second = finish(executor, order("describes", gpus=(4,))).facts
        assert first["pid"] != second["pid"]
        assert (first["visible"], second["visible"]) == ("3", "4")

    def test_a_worker_whose_attempt_failed_serves_no_other(self, executor: LocalExecutor) -> None:
        first = finish(executor, order("describes", gpus=(6,))).facts
        finish(executor, order("describes", gpus=(6,), fails=True))
        assert finish(executor, order("describes", gpus=(6,))).facts["pid"] != first["pid"]

    def test_foreign_code_gets_a_worker_of_its_own(self, executor: LocalExecutor) -> None:
        ours = order("describes", gpus=(7,))
        pids = {
            finish(executor, replace(start, foreign=foreign)).facts["pid"]
            for start, foreign in (
                (ours, False),
                (order("describes", gpus=(7,)), True),
                (order("describes", gpus=(7,)), True),
                (order("describes", gpus=(7,)), False),
            )
        }
        assert len(pids) == 4

    def test_another_program_gets_another_worker(self, executor: LocalExecutor) -> None:
        first = finish(executor, order("describes", gpus=(8,))).facts
        second = finish(executor, order("describes_too", gpus=(8,))).facts
        assert first["pid"] != second["pid"]

    def test_two_attempts_at_once_on_one_gpu_have_two_workers(
        self, executor: LocalExecutor
    ) -> None:
        orders = [order("reports", gpus=(9,), steps=3), order("reports", gpus=(9,), steps=3)]
        seen = conduct_all(executor, orders)
        assert all(isinstance(events[-1], Ended) for events in seen.values())
        pids = {finish(executor, order("describes", gpus=(9,))).facts["pid"] for _ in range(2)}
        assert len(pids) == 1

    def test_each_attempt_of_a_kept_worker_has_its_own_log(
        self, executor: LocalExecutor, log_root: Path
    ) -> None:
        orders = [
            order("prints", gpus=(10,)),
            order("describes", gpus=(10,)),
            order("prints", gpus=(10,)),
        ]
        for start in orders:
            finish(executor, start)
        sizes = [logs.read(logs.path_of(log_root, start.attempt)).size for start in orders]
        assert sizes[0] == sizes[2] > 0
        assert sizes[1] == 0


class TestLogs:
    """What an attempt prints is in its log, whole, before its end is told."""

    def test_everything_printed_is_in_the_log_when_the_end_is_told(
        self, executor: LocalExecutor, log_root: Path
    ) -> None:
        start = order("prints")
        finish(executor, start)
        log = logs.read(logs.path_of(log_root, start.attempt)).data
        for line in (
            b"by print\n",
            b"on stderr\n",
            b"raw \xff\xfe bytes\n",
            b"by a command\n",
            b"by C\n",
            b"without a line's end",
        ):
            assert line in log

    @pytest.mark.parametrize(
        ("payload", "exit_code", "reason"),
        [
            ({"way": "abort"}, -6, Reason.CRASHED),
            ({"way": "segfault"}, -11, Reason.CRASHED),
            ({"way": "kill"}, -9, Reason.WORKER_LOST),
            ({"way": "exit", "code": 0}, 0, Reason.NO_RESULT),
            ({"way": "exit", "code": 3}, 3, Reason.NO_RESULT),
        ],
    )
    def test_an_ended_process_tells_its_exit_and_its_last_words_are_in_the_log(
        self,
        executor: LocalExecutor,
        log_root: Path,
        payload: dict[str, Any],
        exit_code: int,
        reason: Reason,
    ) -> None:
        start = order("last_words", **payload)
        executor.start(start)
        lost = await_event(executor, start.attempt, (Ended, WorkerEnded))
        assert isinstance(lost, WorkerEnded)
        assert (lost.attempts, lost.exit_code) == ((start.attempt,), exit_code)
        assert lost.reason is reason
        assert "last words\n" in logs.tail(logs.path_of(log_root, start.attempt))

    def test_a_flood_of_bytes_changes_no_result_and_keeps_head_and_tail(
        self, executor: LocalExecutor, log_root: Path
    ) -> None:
        start = order("floods", megabytes=20)
        ended = finish(executor, start)
        assert (ended.state, ended.value) == (AttemptState.SUCCEEDED, 42.0)
        path = logs.path_of(log_root, start.attempt)
        page = logs.read(path)
        assert page.size == 5 + 20 * 5 * (1 << 18) + 5
        assert page.data.startswith(b"head\n")
        assert page.data.endswith(b"tail\n")
        assert "bytes left out" in page.text
        kept = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
        assert kept <= logs.DEFAULT_CAP_BYTES
