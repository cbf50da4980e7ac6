"""The scheduler's loop on real databases, with attempts in threads."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.factories import NOON, insert_job, insert_tried, make_spec
from tests.invariants import assert_invariants
from tests.stand import Stand
from tuner.clock import utc_now
from tuner.db import Database, hosts, jobs
from tuner.disk import DiskUse
from tuner.executors.inline import InlineExecutor
from tuner.protocol import WorkerEnded
from tuner.settings import Settings
from tuner.states import TrialState
from tuner.store.hosts import disk_use
from tuner.store.statements import plain

Begin = Callable[..., Stand]


@pytest.fixture
def begin(database: Database, settings: Settings) -> Iterator[Begin]:
    """Start a scheduler; after the test, what it has written keeps the invariants."""
    with ExitStack() as stack:

        def begun(*, disk_gb: float = 100.0, **programs: str) -> Stand:
            chosen = settings.model_copy(update={"disk_gb": disk_gb})
            return stack.enter_context(Stand(database, chosen, InlineExecutor(), **programs))

        yield begun
    assert_invariants(database)


def test_a_job_uses_its_budget_and_knows_its_best_trial(begin: Begin) -> None:
    stand = begin()
    job = stand.submit(budget={"trials": 8, "epochs": 3}, search={"seed": 1, "pruner": "none"})
    row = stand.finish(job)
    assert row["state"] == "succeeded"
    assert (row["created"], row["completed"]) == (8, 8)
    values = {trial["number"]: trial["value"] for trial in stand.trials(job)}
    assert row["best_value"] == max(values.values()) == values[row["best_number"]]
    assert stand.trials(job)[0]["source"] == "default"


def test_hopeless_trials_are_pruned(begin: Begin) -> None:
    stand = begin()
    job = stand.submit(budget={"trials": 20, "epochs": 9}, search={"seed": 1, "pruner": "asha"})
    row = stand.finish(job)
    assert row["pruned"] > 5
    assert row["pruned"] + row["completed"] == 20
    pruned = [trial for trial in stand.trials(job) if trial["state"] == TrialState.PRUNED]
    assert all(trial["last_step"] < 9 for trial in pruned)


def test_events_are_numbered_without_gaps(begin: Begin) -> None:
    stand = begin()
    job = stand.submit(budget={"trials": 4, "epochs": 2})
    stand.finish(job)
    found = stand.events(job)
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    assert found[0]["kind"] == "submitted"
    assert found[-1]["kind"] == "succeeded"


def test_start_points_are_tried_after_the_default(begin: Begin) -> None:
    stand = begin()
    job = stand.submit(budget={"trials": 4, "epochs": 1}, start=[{"lr": 0.01}, {"lr": 0.02}])
    stand.finish(job)
    found = stand.trials(job)
    assert [t["source"] for t in found] == ["default", "start", "start", "sampler"]
    assert [t["params"]["lr"] for t in found[1:3]] == [0.01, 0.02]


def test_a_paused_job_goes_on_with_the_trials_it_has(begin: Begin) -> None:
    stand = begin(program="wait")
    job = stand.submit(budget={"trials": 2, "epochs": 2})
    stand.until(lambda: stand.job(job)["running"] == 2)
    assert stand.answer(stand.request(job, "pause")) == {"ok": True}
    stand.until(lambda: stand.job(job)["queued"] == 2)
    assert stand.job(job)["state"] == "paused"
    assert {a["state"] for a in stand.attempts(job)} == {"succeeded", "preempted"}
    stand.answer(stand.request(job, "resume"))
    stand.until(lambda: stand.job(job)["running"] == 2)
    assert stand.job(job)["created"] == 2
    stand.answer(stand.request(job, "cancel"))
    assert stand.finish(job)["state"] == "cancelled"


def test_what_is_asked_after_a_cancel_is_answered_though_the_job_is_over(begin: Begin) -> None:
    stand = begin(program="wait")
    job = stand.submit(budget={"trials": 9, "epochs": 2}, parallel=1)
    stand.until(lambda: stand.job(job)["running"])
    stand.answer(stand.request(job, "pause"))
    stand.until(lambda: not stand.job(job)["running"])
    cancel = stand.request(job, "cancel")
    later = [
        stand.request(job, "patch", revision=1, priority=3),
        stand.request(job, "enqueue", params={"lr": 0.0123}),
    ]
    assert stand.answer(cancel) == {"ok": True}
    assert [stand.answer(request)["error"] for request in later] == ["TransitionRefused"] * 2
    assert stand.finish(job)["state"] == "cancelled"


def test_enqueued_parameters_are_tried_next(begin: Begin) -> None:
    stand = begin(program="wait")
    job = stand.submit(budget={"trials": 9, "epochs": 2}, parallel=1)
    stand.until(lambda: stand.job(job)["running"])
    outcome = stand.answer(stand.request(job, "enqueue", params={"lr": 0.0123}))
    assert outcome["ok"]
    trial = stand.trials(job)[outcome["number"]]
    assert (trial["source"], trial["params"]["lr"]) == ("enqueued", 0.0123)
    stand.request(job, "cancel")
    stand.finish(job)


def test_a_larger_budget_reopens_a_finished_job(begin: Begin) -> None:
    stand = begin()
    job = stand.submit(budget={"trials": 3, "epochs": 2}, search={"pruner": "none"})
    assert stand.finish(job)["completed"] == 3
    outcome = stand.answer(stand.request(job, "patch", revision=1, budget={"trials": 5}))
    assert outcome == {"ok": True, "revision": 2}
    stand.until(lambda: stand.job(job)["completed"] == 5)
    assert stand.finish(job)["state"] == "succeeded"
    assert "extended" in [event["kind"] for event in stand.events(job)]
    points = [tuple(sorted(t["params"].items())) for t in stand.trials(job)]
    assert len(set(points)) == 5, "the rebuilt study proposes nothing twice"


@pytest.mark.parametrize(
    ("kind", "payload", "error"),
    [
        ("pause", {}, "TransitionRefused"),
        ("enqueue", {"params": {"lr": 0.1}}, "TransitionRefused"),
        ("patch", {"revision": 9, "budget": {"trials": 99}}, "StaleRevision"),
        ("patch", {"revision": 1, "priority": 3}, "TransitionRefused"),
    ],
)
def test_a_finished_job_is_final(
    begin: Begin, kind: str, payload: dict[str, object], error: str
) -> None:
    stand = begin()
    job = stand.submit(budget={"trials": 1, "epochs": 1})
    before = stand.finish(job)
    assert stand.answer(stand.request(job, kind, **payload))["error"] == error
    assert stand.job(job) == before


def test_a_deleted_job_is_gone_with_its_files(begin: Begin) -> None:
    stand = begin()
    job = stand.submit(budget={"trials": 1, "epochs": 1})
    stand.finish(job)
    folder = stand.settings.artifacts / "jobs" / job.ulid
    converted = stand.settings.cache / "predictors" / job.ulid
    for made in (folder, converted):
        made.mkdir(parents=True)
    stand.request(job, "delete")

    def gone() -> bool:
        with stand.database.reading() as connection:
            return connection.execute(sa.select(jobs)).first() is None

    stand.until(lambda: gone() and not folder.exists() and not converted.exists())


def test_a_job_whose_probe_fails_ends_at_once_with_the_reason(begin: Begin) -> None:
    stand = begin(probe="fail")
    job = stand.submit(budget={"trials": 5, "epochs": 1})
    row = stand.finish(job)
    assert (row["state"], row["reason"]) == ("failed", "user_error")
    assert "ValueError: lr is True" in row["detail"]
    assert row["running"] == row["completed"] == 0


def test_trials_that_raise_end_alone_and_five_alike_end_the_job(begin: Begin) -> None:
    stand = begin(program="fail")
    job = stand.submit(budget={"trials": 50, "epochs": 1})
    row = stand.finish(job)
    assert (row["state"], row["reason"]) == ("failed", "poison")
    assert 5 <= row["failed"] <= 7
    failed = [a for a in stand.attempts(job) if a["state"] == "failed"]
    assert all("ValueError" in a["traceback"] for a in failed)


def test_a_scheduler_that_begins_anew_finishes_exactly_the_budget(begin: Begin) -> None:
    stand = begin(program="climb")
    job = stand.submit(budget={"trials": 12, "epochs": 3}, search={"pruner": "none"})
    for done in (2, 5, 9):
        stand.until(lambda done=done: stand.job(job)["completed"] >= done)
        stand.loop.close()
        for attempt in list(stand.loop.state.attempts):
            stand.executor.kill(attempt)
        stand.executor.poll(0)
        stand.begin()
    row = stand.finish(job)
    assert (row["created"], row["completed"]) == (12, 12)
    lost = [a for a in stand.attempts(job) if a["reason"] == "scheduler_lost"]
    assert all(a["state"] == "lost" for a in lost)


def test_hours_do_not_pass_while_no_scheduler_lives(begin: Begin) -> None:
    stand = begin(program="wait")
    job = stand.submit(budget={"trials": 2, "epochs": 1, "hours": 1.0})
    stand.until(lambda: stand.job(job)["running"] == 2)
    yesterday = utc_now() - timedelta(days=1)
    with stand.database.writing() as connection:
        began = {"running_since": yesterday, "started_at": yesterday}
        connection.execute(sa.update(jobs).values(began))
        beat = yesterday + timedelta(minutes=10)
        connection.execute(sa.update(hosts).values(beat_at=beat))
    for attempt in list(stand.loop.state.attempts):
        stand.executor.kill(attempt)
    stand.executor.poll(0)
    stand.begin()
    stand.until(lambda: stand.job(job)["running"] == 2 and stand.job(job)["run_seconds"])
    assert 600 <= stand.job(job)["run_seconds"] < 700
    stand.request(job, "cancel")
    stand.finish(job)


def test_two_jobs_share_the_workers(begin: Begin) -> None:
    stand = begin()
    one = stand.submit(budget={"trials": 6, "epochs": 3})
    two = stand.submit(budget={"trials": 6, "epochs": 3})
    stand.finish(one)
    stand.finish(two)
    assert stand.job(one)["created"] == stand.job(two)["created"] == 6


def test_a_target_ends_the_job_with_what_it_has(begin: Begin) -> None:
    stand = begin()
    budget = {"trials": 500, "epochs": 1, "target": 0.9}
    job = stand.submit(budget=budget, start=[{"lr": 0.01}])
    row = stand.finish(job)
    assert row["state"] == "succeeded"
    assert row["best_value"] >= 0.9
    assert row["created"] < 10


@pytest.mark.parametrize("sampler", ["grid", "brute_force", "auto"])
def test_a_space_ends_when_it_is_used_up(begin: Begin, sampler: str) -> None:
    stand = begin()
    space = {"lr": {"choice": [0.01, 0.1]}, "depth": {"ordered": [1, 2, 3]}}
    fixed = {
        parameter["name"]: parameter.get("default", parameter.get("fixed"))
        for parameter in _space_of(stand)
        if parameter["name"] not in space
    }
    job = stand.submit(
        space={**fixed, **space},
        budget={"trials": 50, "epochs": 1},
        search={"sampler": sampler, "pruner": "none"},
        constraints=["lr < 0.1 or depth < 3"],
    )
    row = stand.finish(job)
    assert (row["state"], row["created"]) == ("succeeded", 5)
    assert row["detail"] == "all 5 points of the space tried"
    tried = {(trial["params"]["lr"], trial["params"]["depth"]) for trial in stand.trials(job)}
    assert tried == {(0.01, 1), (0.01, 2), (0.01, 3), (0.1, 1), (0.1, 2)}


def _space_of(stand: Stand) -> list[dict[str, object]]:
    plan = stand.job(stand.submit(budget={"trials": 1, "epochs": 1}))["plan"]
    space: list[dict[str, object]] = plan["space"]
    return space


def test_what_no_json_can_carry_is_stored_as_null() -> None:

    assert plain({"a": float("nan"), "b": [float("inf"), 1.0], "c": "x\x00y"}) == {
        "a": None,
        "b": [None, 1.0],
        "c": "xy",
    }


def write(settings: Settings, name: str, size: int) -> Path:
    file = settings.artifacts / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(size))
    return file


def test_when_files_take_too_much_the_runners_up_go_and_the_best_stays(
    begin: Begin, database: Database, settings: Settings
) -> None:
    spec = make_spec(keep={"best": 2})
    old = insert_job(database, spec=spec, state="succeeded", finished_at=NOON)
    folder = f"jobs/{old.ulid}/trials"
    rows = [{"value": 0.1 + number, "model_uri": f"{folder}/{number}/m"} for number in range(2)]
    insert_tried(database, old, [{**row, "checkpoint_uri": row["model_uri"]} for row in rows])
    loser, best = (write(settings, f"{folder}/{number}/m", 600) for number in range(2))
    stand = begin(disk_gb=1e-6)
    stand.until(lambda: not loser.exists())
    assert best.exists()
    assert [trial["model_uri"] for trial in stand.trials(old)] == [None, f"{folder}/1/m"]
    job = stand.submit(budget={"trials": 2, "epochs": 1})
    assert stand.finish(job)["state"] == "succeeded"


def test_when_only_the_best_are_left_their_checkpoints_go(
    begin: Begin, database: Database, settings: Settings
) -> None:
    spec = make_spec(keep={"last": "all"})
    old = insert_job(database, spec=spec, state="succeeded", finished_at=NOON)
    folder = f"jobs/{old.ulid}/trials/0"
    uris = {"model_uri": f"{folder}/m", "checkpoint_uri": f"{folder}/c"}
    insert_tried(database, old, [{"value": 0.5, **uris}])
    model, checkpoint = write(settings, f"{folder}/m", 600), write(settings, f"{folder}/c", 600)
    stand = begin(disk_gb=1e-6)
    stand.until(lambda: not checkpoint.exists())
    assert model.exists()


def test_what_has_no_room_waits_and_goes_on_when_there_is_some(
    begin: Begin, settings: Settings
) -> None:
    junk = write(settings, "logs/junk", 2000)
    stand = begin(disk_gb=1e-6)
    stand.until(lambda: stand.loop.state.disk_full)
    job = stand.submit(budget={"trials": 2, "epochs": 1})
    stand.until(lambda: any(event["kind"] == "disk_full" for event in stand.events(job)))
    assert not stand.attempts(job)
    junk.unlink()
    stand.loop.disk_watch.again()
    assert stand.finish(job)["state"] == "succeeded"
    assert "disk_free" in [event["kind"] for event in stand.events(job)]


def test_the_host_says_what_files_take(
    begin: Begin, database: Database, settings: Settings
) -> None:
    write(settings, "logs/1.log", 2000)
    stand = begin()
    stand.loop.disk_watch.again()

    def told() -> DiskUse | None:
        with database.reading() as connection:
            return disk_use(connection)

    stand.until(told)
    use = told()
    assert use is not None
    assert (use.artifacts, use.artifacts_limit, use.full) == (2000, 100_000_000_000, False)


def test_who_is_to_stop_before_it_has_started_hears_of_both_in_this_order(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = begin(program="wait")
    job = stand.submit(budget={"trials": 2, "epochs": 3}, parallel=1)
    stand.until(lambda: stand.job(job)["running"] and stand.loop.idle is False)
    trial = next(attempt.id for attempt in stand.loop.state.attempts.values() if attempt.trial)
    stand.executor.kill(trial)
    with monkeypatch.context() as patch:  # the database does not answer
        patch.setattr(stand.loop._recorder, "commit", lambda now: None)
        ended = WorkerEnded(attempts=(trial,), exit_code=-9, detail="It is gone.")
        stand.loop._feed(ended)
        stand.later += timedelta(seconds=2)
        stand.until(lambda: any(attempt > trial for attempt in stand.loop.state.attempts))
        stand.loop.drain()
    stand.until(lambda: stand.loop.idle)
    assert [attempt["reason"] for attempt in stand.attempts(job)[1:]] == [
        "worker_lost",
        "preempted",
    ]
    last = stand.attempts(job)[-1]
    assert last["finished_at"] - last["started_at"] < timedelta(seconds=20), "it was killed"
