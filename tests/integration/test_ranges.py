"""A job whose learning rate nobody knows: its probe finds the range before the first trial."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
import torch

from tests.factories import make_spec
from tests.invariants import assert_invariants
from tests.stand import Stand
from tuner.db import Database
from tuner.executors.inline import InlineExecutor
from tuner.leader.recording import Recorder
from tuner.planning.plan import Plan
from tuner.settings import Settings
from tuner.trial import Context, Outcome

Begin = Callable[..., Stand]
FOUND = {"low": 0.02, "high": 5.0, "default": 0.5, "log": True, "curve": [[1e-7, 2.3]]}
BUDGET = {"trials": 4, "epochs": 1}


class Descent(torch.optim.SGD):
    """Gradient descent, of which the service knows nothing."""


def find(payload: Mapping[str, Any], context: Context) -> Outcome:
    """A probe that finds a range for what it is to find one for."""
    return Outcome.succeeded(0.0, {"ranges": dict.fromkeys(payload["ranges"], FOUND)})


@pytest.fixture
def begin(database: Database, settings: Settings) -> Iterator[Begin]:
    """Start a scheduler; after the test, what it has written keeps the invariants."""
    with ExitStack() as stack:

        def begun(probe: str = f"{__name__}:find", **options: Any) -> Stand:
            chosen = settings.model_copy(update={"allowed_code": ("tests",)})
            stand = Stand(database, chosen, InlineExecutor(), probe=probe, **options)
            return stack.enter_context(stand)

        yield begun
    assert_invariants(database)


def submit(stand: Stand, **spec: Any) -> Any:
    document = make_spec(optimizer=f"{__name__}:Descent", budget=BUDGET, **spec)
    return stand.submit_as_written(document)


def plan_of(stand: Stand, job: Any) -> Plan:
    return Plan.from_json(stand.job(job)["plan"])


def test_every_trial_goes_by_what_the_probe_found(begin: Begin) -> None:
    stand = begin()
    job = submit(stand, start=[{"lr": 9.0}])
    assert stand.finish(job)["state"] == "succeeded"
    rates = [trial["params"]["lr"] for trial in stand.trials(job)]
    assert rates[:2] == [0.5, 9.0], "the default that was found, and what the user gave"
    assert all(0.02 <= rate <= 9.0 for rate in rates)
    plan = plan_of(stand, job)
    assert plan.default_config["lr"] == 0.5
    [probed] = [event for event in stand.events(job) if event["kind"] == "probed"]
    assert probed["data"] == {"ranges": {"lr": FOUND}}
    kinds = [event["kind"] for event in stand.events(job)]
    assert kinds.index("probed") < kinds.index("trial_queued")


def test_a_spec_that_says_its_range_is_taken_at_its_word(begin: Begin) -> None:
    stand = begin()
    job = submit(stand, space={"lr": {"float": [0.001, 0.01]}})
    before = plan_of(stand, job)
    stand.finish(job)
    assert plan_of(stand, job) == before
    assert all(0.001 <= trial["params"]["lr"] <= 0.01 for trial in stand.trials(job))


def test_the_real_probe_finds_a_range_and_records_it(begin: Begin) -> None:
    stand = begin(probe="tuner.trainer:probe")
    job = submit(stand, space={"depth": 1, "width": 16})
    stand.finish(job)
    [probed] = [event for event in stand.events(job) if event["kind"] == "probed"]
    found = probed["data"]["ranges"]["lr"]
    rates = [trial["params"]["lr"] for trial in stand.trials(job)]
    assert rates[0] == found["default"]
    assert all(found["low"] <= rate <= found["high"] for rate in rates)
    assert "found by the probe's range test" in plan_of(stand, job).notes[-1]


def test_a_scheduler_that_starts_anew_has_the_old_plan_before_and_the_new_one_after(
    begin: Begin,
) -> None:
    stand = begin()
    job = submit(stand)
    before = plan_of(stand, job)
    stand.until(lambda: stand.attempts(job))
    assert (plan_of(stand, job), stand.trials(job)) == (before, [])
    stand.loop.close()
    stand.begin()
    stand.until(lambda: stand.loop.state.jobs[job.id].probed)
    stand.until(lambda: not stand.loop._recorder.pending)
    stand.loop.close()
    stand.begin()
    assert stand.finish(job)["state"] == "succeeded"
    assert stand.trials(job)[0]["params"]["lr"] == 0.5
    probes = [row["state"] for row in stand.attempts(job) if row["trial_id"] is None]
    assert probes.count("succeeded") == 1


def test_plan_and_probe_are_of_one_commit(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the database shows, a passed probe and the amended plan are there together."""
    stand = begin()
    job = submit(stand)
    seen = set()
    commit = Recorder.commit

    def look(recorder: Recorder, now: Any) -> Any:
        entry = commit(recorder, now)
        passed = any(row["state"] == "succeeded" for row in stand.attempts(job))
        seen.add((passed, plan_of(stand, job).default_config["lr"]))
        return entry

    monkeypatch.setattr(Recorder, "commit", look)
    stand.until(lambda: stand.trials(job))
    assert seen == {(False, 0.001), (True, 0.5)}


def test_a_point_that_waits_for_the_probe_widens_what_it_finds(begin: Begin) -> None:
    stand = begin()
    job = submit(stand)
    request = stand.request(job, "enqueue", params={"lr": 0.0002})
    stand.finish(job)
    assert stand.answer(request) == {"ok": True, "number": 0}, "before all others"
    assert stand.trials(job)[0]["params"]["lr"] == 0.0002
    assert stand.trials(job)[1]["params"]["lr"] == 0.5


def test_a_point_of_the_old_plan_that_comes_too_late_is_refused_in_words(begin: Begin) -> None:
    stand = begin(program="wait")
    job = submit(stand)
    stand.until(lambda: stand.loop.state.jobs and stand.loop.state.jobs[job.id].probed)
    outcome = stand.answer(stand.request(job, "enqueue", params={"lr": 0.0002}))
    assert not outcome["ok"]
    assert "lr = 0.0002 lies outside float in [0.02, 5] (log)." in str(outcome)
    stand.request(job, "cancel")
    stand.finish(job)
