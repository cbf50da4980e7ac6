"""GPU memory that runs out, played by a loss: half the micro-batch, and then no more of it."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.factories import StoredJob
from tests.invariants import assert_invariants
from tests.stand import Stand
from tuner.artifacts.places import log_root
from tuner.db import Database
from tuner.executors.local import LocalExecutor
from tuner.service import Service
from tuner.settings import Settings


@pytest.fixture
def stand(sqlite_database: Database, settings: Settings) -> Iterator[Stand]:
    """A scheduler with real workers that train."""
    allowed = settings.model_copy(update={"allowed_code": ("tests",)})
    with ExitStack() as stack:
        executor = LocalExecutor(log_root(settings.artifacts), clock=lambda: found.steady())
        programs = {"program": "tuner.trainer:train_trial", "probe": "tuner.trainer:probe"}
        found = Stand(sqlite_database, allowed, executor, **programs)
        yield stack.enter_context(found)
    assert_invariants(sqlite_database)


def submit(stand: Stand, *sizes: int) -> StoredJob:
    """A job with a trial of each batch size, on a device with room for 16 rows."""
    default, *others = sizes
    return stand.submit(
        loss="tests.faults.narrow:loss",
        space={
            "batch_size": {"choice": [16, 32, 64], "default": default},
            "room": 16,
            "lr": 0.01,
        },
        start=[{"batch_size": size} for size in others],
        search={"seed": 1, "pruner": "none"},
        budget={"trials": len(sizes), "epochs": 2},
        parallel=1,
    )


def test_half_the_micro_batch_is_tried_once_and_less_is_infeasible(stand: Stand) -> None:
    job = submit(stand, 32, 64, 16)
    row = stand.finish(job)
    service = Service(stand.database, stand.settings)
    ends = {}
    for trial in stand.trials(job):
        attempts = service.attempts(job.ulid, trial["number"]).attempts
        tries = [(attempt.reason, attempt.halvings) for attempt in attempts]
        ends[trial["params"]["batch_size"]] = trial["state"], trial["reason"], tries
    assert ends == {
        32: ("completed", None, [("oom_gpu", 0), (None, 1)]),
        64: ("failed", "infeasible", [("oom_gpu", 0), ("oom_gpu", 1)]),
        16: ("completed", None, [(None, 0)]),
    }
    assert row["state"] == "succeeded"
    retried = [event["data"] for event in stand.events(job) if event["kind"] == "trial_retried"]
    assert [data["halved"] for data in retried] == [True, True]
    probes = [a for a in stand.attempts(job) if a["trial_id"] is None]
    assert [(a["ordinal"], a["reason"]) for a in probes] == [(1, "oom_gpu"), (2, None)]


def test_a_scheduler_that_takes_over_knows_what_was_halved(stand: Stand) -> None:
    job = submit(stand, 32)
    stand.until(lambda: [a["reason"] for a in stand.attempts(job)].count("oom_gpu") == 2)
    for attempt in stand.loop.state.attempts:
        stand.executor.kill(attempt)
    stand.loop.close()
    stand.begin()
    row = stand.finish(job)
    assert (row["state"], row["completed"]) == ("succeeded", 1)
    reasons = [a["reason"] for a in stand.attempts(job)]
    assert reasons.count("oom_gpu") == 2, "the probe's and the trial's, and none after them"


def test_a_job_whose_default_has_no_room_fails_at_its_probe_and_says_so(stand: Stand) -> None:
    row = stand.finish(submit(stand, 64))
    assert (row["state"], row["reason"]) == ("failed", "infeasible")
    assert row["created"] == row["cancelled"], "no trial ran"
    assert row["detail"] == (
        "The probe failed: torch.OutOfMemoryError: CUDA out of memory: 32 rows, room for 16."
    )
