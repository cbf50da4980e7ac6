"""Commands as jobs: submitted, searched, paused and taken up again, with real workers."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import scripts
from tests.factories import StoredJob
from tests.invariants import assert_invariants
from tests.stand import Stand
from tuner.db import Database
from tuner.executors.local import LocalExecutor
from tuner.service.core import Service
from tuner.settings import Settings


def spec(*arguments: str, **rest: Any) -> dict[str, Any]:
    return {
        "command": ["python", scripts.__file__, *arguments],
        "metric": "loss",
        "direction": "minimize",
        "budget": {"trials": 1, "epochs": 9},
        "search": {"pruner": "none", "seed": 3},
        **rest,
    }


@pytest.fixture
def stand(
    sqlite_database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Stand]:
    """A scheduler that runs commands; afterwards, what it wrote keeps the invariants."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    chosen = settings.model_copy(update={"allow_commands": True})
    with ExitStack() as stack:
        executor = LocalExecutor(tmp_path / "logs", most_cpus=2)
        yield stack.enter_context(Stand(sqlite_database, chosen, executor))
    assert_invariants(sqlite_database)


def folders(stand: Stand, job: StoredJob) -> list[str]:
    root = stand.settings.trial_folders / job.ulid
    return [folder.name for folder in root.iterdir()] if root.exists() else []


def steps(stand: Stand, job: StoredJob, number: int = 0) -> list[tuple[int, Mapping[str, Any]]]:
    curves = Service(stand.database, stand.settings).curves(job.ulid, number)
    return [(point.step, point.values) for point in curves.points]


def until_it_waits_at_step_3(stand: Stand) -> StoredJob:
    """A job whose only trial has come so far, and no farther."""
    job = stand.submit_as_written(spec("trains", "6", "3"))
    stand.until(lambda: stand.trials(job) and stand.trials(job)[0]["last_step"] == 3)
    return job


def until_nothing_runs(stand: Stand) -> None:
    stand.until(lambda: not stand.loop.state.attempts)


def test_a_paused_job_goes_on_from_what_its_command_saved(stand: Stand) -> None:
    job = until_it_waits_at_step_3(stand)
    assert stand.answer(stand.request(job, "pause")) == {"ok": True}
    until_nothing_runs(stand)
    assert folders(stand, job) == ["0"]
    assert stand.answer(stand.request(job, "resume")) == {"ok": True}
    row = stand.finish(job)
    assert (row["state"], row["best_value"]) == ("succeeded", 1 / 6)
    (trial,) = stand.trials(job)
    assert (trial["best_step"], trial["last_step"], trial["attempts"]) == (6, 6, 2)
    states = [attempt["state"] for attempt in stand.attempts(job)]
    assert states == ["succeeded", "preempted", "succeeded"], "the first one is the probe"
    began = [0.0, 0.0, 0.0, 3.0, 3.0, 3.0]
    assert steps(stand, job) == [
        (step, {"loss": 1 / step, "began": began[step - 1]}) for step in range(1, 7)
    ]
    stand.loop.close()  # what is to be removed by then, is
    assert folders(stand, job) == []
    stand.begin()


def test_a_new_scheduler_goes_on_with_the_trial(stand: Stand) -> None:
    """The one before is gone without a word, and its workers with it."""
    job = until_it_waits_at_step_3(stand)
    (attempt,) = stand.loop.state.attempts
    stand.loop.close()
    stand.executor.kill(attempt)
    stand.begin()
    assert stand.finish(job)["best_value"] == 1 / 6


def test_a_job_cancelled_while_it_is_paused_leaves_no_folder(stand: Stand) -> None:
    job = until_it_waits_at_step_3(stand)
    assert stand.answer(stand.request(job, "pause")) == {"ok": True}
    until_nothing_runs(stand)
    assert stand.answer(stand.request(job, "cancel")) == {"ok": True}
    assert stand.finish(job)["state"] == "cancelled"
    stand.loop.close()
    assert folders(stand, job) == []
    stand.begin()


def test_a_command_that_never_reports_is_ended_for_want_of_progress(stand: Stand) -> None:
    limits = {"no_progress_minutes": 10}
    job = stand.submit_as_written(spec("silent", limits=limits))
    stand.until(lambda: [a for a in stand.loop.state.attempts.values() if a.trial is not None])
    stand.later += timedelta(minutes=11)
    row = stand.finish(job)
    (trial,) = stand.trials(job)
    assert (row["state"], trial["reason"]) == ("failed", "no_progress")
    assert "limits.no_progress_minutes = 10" in trial["detail"]


def test_a_program_that_is_not_there_fails_the_job_at_its_probe(stand: Stand) -> None:
    job = stand.submit_as_written(spec(command=["no-such-program"]))
    row = stand.finish(job)
    assert (row["state"], row["reason"]) == ("failed", "user_error")
    assert "no folder of PATH has such a program" in row["detail"]


def test_values_of_the_space_are_searched_and_trials_are_pruned(stand: Stand) -> None:
    """With a value that gets worse with x; of nine trials, ASHA ends those of large x early."""
    argument = ["{x}", "{epochs}"]
    job = stand.submit_as_written(
        spec(
            "descends",
            *argument,
            space={"x": {"float": [0.0, 1.0]}},
            budget={"trials": 9, "epochs": 9},
            search={"pruner": "asha", "sampler": "random", "seed": 3},
            parallel=1,
        )
    )
    row = stand.finish(job)
    assert (row["created"], row["failed"]) == (9, 0)
    assert row["pruned"] > 0
    completed = [trial for trial in stand.trials(job) if trial["state"] == "completed"]
    assert all(trial["value"] == trial["params"]["x"] + 1 / 9 for trial in completed)
    assert all(trial["last_step"] == 9 for trial in completed)
