"""Jobs whose code loads long: it is imported once, and every attempt has a process of its own."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.contracts.executor_contract import await_event, finish, order
from tuner.executors import grounds
from tuner.executors.local import LocalExecutor
from tuner.protocol import StartAttempt, WorkerEnded


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalExecutor]:
    with LocalExecutor(tmp_path_factory.mktemp("logs"), modules=["tests.programs"]) as executor:
        yield executor


def on_ground(name: str, *, job: str = "a", program: str = "imports", **rest: Any) -> StartAttempt:
    module = f"tests.grounds.{name}"
    ground = {"job": job, "code": None, "modules": [module]}
    start = order(program, module=module)
    return replace(start, foreign=True, ground=ground, **rest)


def test_the_code_is_imported_once_for_all_attempts_of_a_job(executor: LocalExecutor) -> None:
    first, second = (finish(executor, on_ground("plain")).facts for _ in range(2))
    assert first["imported_by"] == second["imported_by"]
    assert len({first["imported_by"], first["pid"], second["pid"]}) == 3


def test_another_job_imports_it_anew(executor: LocalExecutor) -> None:
    """Its files may have changed since."""
    one, other = (finish(executor, on_ground("plain", job=job)).facts for job in ("a", "b"))
    assert one["imported_by"] != other["imported_by"]


def test_code_that_leaves_threads_is_imported_by_each_attempt(executor: LocalExecutor) -> None:
    facts = finish(executor, on_ground("threaded")).facts
    assert facts["imported_by"] == facts["pid"]


def test_code_that_cannot_be_imported_fails_the_attempts_alone(executor: LocalExecutor) -> None:
    ended = finish(executor, on_ground("broken"))
    assert "as asked" in (ended.detail or "")
    assert finish(executor, order("describes")).facts["pid"]


def test_an_attempt_has_the_threads_it_asked_for(executor: LocalExecutor) -> None:
    """A ground begins with one, lest its pools be lost in a fork."""
    facts = finish(executor, on_ground("plain", threads=2)).facts
    assert (facts["threads"], facts["blas"]) == (2, [2])
    assert facts["for_commands"] == "2"


def test_a_worker_on_a_ground_can_be_killed(executor: LocalExecutor) -> None:
    start = on_ground("plain", program="hangs")
    executor.start(start)
    executor.kill(start.attempt)
    assert await_event(executor, start.attempt, WorkerEnded).exit_code == -9


def test_grounds_nobody_needs_are_let_go(tmp_path: Path) -> None:
    now = [0.0]
    with LocalExecutor(tmp_path, modules=["tests.programs"], clock=lambda: now[0]) as executor:
        ground = finish(executor, on_ground("plain")).facts["imported_by"]
        executor.poll(0.0)
        assert Path(f"/proc/{ground}").exists()
        now[0] += grounds.KEPT_FOR_S
        while Path(f"/proc/{ground}").exists():  # as soon as the end of its worker was heard
            executor.poll(0.0)
        assert finish(executor, on_ground("plain")).facts["imported_by"] != ground


def test_no_more_jobs_than_a_few_have_a_ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was needed the longest ago goes; where all are at work, workers do without."""
    monkeypatch.setattr(grounds, "MOST_GROUNDS", 1)
    with LocalExecutor(tmp_path, modules=["tests.programs"]) as executor:
        first = finish(executor, on_ground("plain", job="a")).facts["imported_by"]
        _let_workers_go(executor, first)
        busy = on_ground("plain", job="b", program="hangs")
        executor.start(busy)
        facts = finish(executor, on_ground("plain", job="c")).facts
        assert facts["imported_by"] == facts["pid"]
        executor.kill(busy.attempt)
        await_event(executor, busy.attempt, WorkerEnded)
        assert not Path(f"/proc/{first}").exists()


def _let_workers_go(executor: LocalExecutor, ground: int) -> None:
    """Hear that all workers of a ground have ended, but for the spare."""
    while len(psutil.Process(ground).children()) > 1:
        executor.poll(0.1)
    executor.poll(0.0)


def test_nothing_is_left_of_grounds(tmp_path: Path) -> None:
    with LocalExecutor(tmp_path, modules=["tests.programs"]) as executor:
        facts = finish(executor, on_ground("plain")).facts
    for pid in (facts["imported_by"], facts["pid"]):
        assert not Path(f"/proc/{pid}").exists()
    assert os.getpid() not in facts.values()
