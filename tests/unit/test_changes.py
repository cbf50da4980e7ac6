"""What people ask of a job: checked at once, recorded, and answered when the scheduler has."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from tests.factories import (
    NOON,
    StoredJob,
    insert_job,
    insert_trials,
    make_spec,
    waiting_requests,
)
from tests.scheduler import Outcome, Scheduler, moving
from tuner.db import Database, jobs
from tuner.errors import (
    JobNotFound,
    SchedulerBusy,
    SpecInvalid,
    StaleRevision,
    StoreUnavailable,
    TransitionRefused,
)
from tuner.outcomes import error_of, refusal
from tuner.service import Service
from tuner.service.changes import ANSWER_PATIENCE_SECONDS, VERB_PATIENCE_SECONDS
from tuner.settings import Settings
from tuner.states import JobState, TrialState


def never(seconds: float) -> None:
    raise AssertionError("There was nothing to wait for.")


def pass_by(seconds: float) -> None:
    """No scheduler is there."""


Make = Callable[..., Service]


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough here; both are asked in the tests of the store and of a job's life."""
    return sqlite_database


@pytest.fixture
def make(database: Database, settings: Settings) -> Make:
    """A service with the given waiter."""
    return lambda wait: Service(database, settings, clock=lambda: NOON, wait=wait)


@pytest.mark.parametrize(
    ("verb", "state", "target"),
    [
        ("pause", "running", "paused"),
        ("resume", "paused", "running"),
        ("cancel", "queued", "cancelled"),
        ("cancel", "running", "cancelling"),
        ("cancel", "paused", "cancelling"),
    ],
)
def test_a_verb_is_recorded_and_answered_with_what_the_scheduler_made_of_it(
    make: Make, database: Database, verb: str, state: str, target: str
) -> None:
    job = insert_job(database, state=state)
    scheduler = Scheduler(database, apply=moving(target), busy=2)
    view = getattr(make(scheduler), verb)(job.ulid)
    assert (view.id, view.state) == (job.ulid, target)
    assert len(scheduler.waits) == 3


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("pause", "paused"),
        ("resume", "running"),
        ("resume", "queued"),
        ("cancel", "cancelling"),
        ("cancel", "cancelled"),
    ],
)
def test_a_verb_for_the_state_the_job_is_in_changes_nothing(
    make: Make, database: Database, verb: str, state: str
) -> None:
    job = insert_job(database, state=state)
    assert getattr(make(never), verb)(job.ulid).state == state
    assert waiting_requests(database, job) == []


@pytest.mark.parametrize(
    ("verb", "state", "wanted"),
    [
        ("pause", "queued", "paused"),
        ("pause", "cancelling", "paused"),
        ("pause", "succeeded", "paused"),
        ("resume", "failed", "running"),
        ("resume", "cancelling", "running"),
        ("cancel", "succeeded", "cancelled"),
        ("cancel", "failed", "cancelled"),
    ],
)
def test_a_verb_the_state_does_not_allow_is_refused_with_both_states(
    make: Make, database: Database, verb: str, state: str, wanted: str
) -> None:
    job = insert_job(database, state=state)
    with pytest.raises(TransitionRefused) as refused:
        getattr(make(never), verb)(job.ulid)
    assert (refused.value.state, refused.value.wanted) == (state, wanted)
    assert waiting_requests(database, job) == []


def test_a_verb_nobody_applies_in_time_is_answered_with_the_job_as_it_is(
    make: Make, database: Database
) -> None:
    job = insert_job(database)
    waits: list[float] = []
    assert make(waits.append).pause(job.ulid).state is JobState.RUNNING
    assert waiting_requests(database, job) == [("pause", {})]
    assert sum(waits) == pytest.approx(VERB_PATIENCE_SECONDS)


def test_a_verb_that_waits_already_is_not_recorded_twice(make: Make, database: Database) -> None:
    job = insert_job(database)
    make(pass_by).pause(job.ulid)
    make(never).pause(job.ulid)
    assert waiting_requests(database, job) == [("pause", {})]


def test_a_verb_is_judged_by_the_state_the_waiting_ones_lead_to(
    make: Make, database: Database
) -> None:
    job = insert_job(database)
    service = make(pass_by)
    service.pause(job.ulid)
    service.resume(job.ulid)
    service.cancel(job.ulid)
    with pytest.raises(TransitionRefused) as refused:
        service.pause(job.ulid)
    assert refused.value.state == "cancelling"
    assert [kind for kind, _ in waiting_requests(database, job)] == ["pause", "resume", "cancel"]


def test_what_the_scheduler_refuses_is_raised_as_the_error_it_names(
    make: Make, database: Database
) -> None:
    job = insert_job(database)
    error = TransitionRefused(f"Job {job.ulid}", "succeeded", "paused")
    scheduler = Scheduler(database, apply=lambda connection, request: refusal(error))
    with pytest.raises(TransitionRefused, match=r"is succeeded; it cannot become paused"):
        make(scheduler).pause(job.ulid)


def test_a_database_that_is_away_for_a_moment_does_not_undo_a_recorded_request(
    make: Make, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = insert_job(database)
    reading = database.reading
    scheduler = Scheduler(database, apply=moving("paused"))

    def interrupted(seconds: float) -> None:
        away = len(scheduler.waits) < 3
        scheduler(seconds)
        monkeypatch.setattr(database, "reading", unavailable if away else reading)

    def unavailable() -> None:
        raise StoreUnavailable("gone")

    assert make(interrupted).pause(job.ulid).state is JobState.PAUSED
    assert len(scheduler.waits) == 4


@pytest.mark.parametrize("name", ["job_0", "job_" + "0" * 26, "a\x00b", "", "ö" * 5000])
def test_a_job_that_does_not_exist_is_not_found(make: Make, name: str) -> None:
    service = make(never)
    calls: list[Callable[..., object]] = [
        service.pause,
        service.resume,
        service.cancel,
        service.delete,
        service.job,
    ]
    calls += [service.job_version, service.best, service.trials, service.events]
    for call in calls:
        with pytest.raises(JobNotFound):
            call(name)
    with pytest.raises(JobNotFound):
        service.enqueue(name, {})
    with pytest.raises(JobNotFound):
        service.patch(name, {"revision": 1})
    with pytest.raises(JobNotFound):
        service.trial(name, 0)


# --- delete ------------------------------------------------------------------------------------


def removing(connection: sa.Connection, request: sa.Row[Any]) -> Outcome:
    connection.execute(sa.delete(jobs).where(jobs.c.id == request.job_id))
    return {"ok": True}


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_finished_job_is_deleted_by_the_scheduler(
    make: Make, database: Database, state: str
) -> None:
    job = insert_job(database, state=state)
    service = make(Scheduler(database, apply=removing))
    service.delete(job.ulid)
    with pytest.raises(JobNotFound):
        service.job(job.ulid)


@pytest.mark.parametrize("state", ["queued", "running", "paused", "cancelling"])
def test_a_live_job_is_not_deleted(make: Make, database: Database, state: str) -> None:
    job = insert_job(database, state=state)
    with pytest.raises(TransitionRefused, match="deleted before it has ended"):
        make(never).delete(job.ulid)


def test_a_deletion_nobody_applies_stays_recorded_once(make: Make, database: Database) -> None:
    job = insert_job(database, state="failed")
    waits: list[float] = []
    for _ in range(2):
        with pytest.raises(SchedulerBusy) as busy:
            make(waits.append).delete(job.ulid)
        assert (busy.value.job, busy.value.request) == (job.ulid, "delete")
    assert waiting_requests(database, job) == [("delete", {})]
    assert sum(waits) == pytest.approx(2 * ANSWER_PATIENCE_SECONDS)


# --- enqueue -----------------------------------------------------------------------------------


def creating(database: Database, job: StoredJob) -> Callable[[float], None]:
    """A scheduler that makes a trial of a point."""

    def apply(seconds: float) -> None:
        (_, payload), *_ = waiting_requests(database, job)
        row = {"state": "queued", "params": payload["params"], "source": "enqueued"}
        insert_trials(database, job, [row])
        numbered = {"ok": True, "number": 1}
        Scheduler(database, apply=lambda connection, request: numbered).tick()

    return apply


def test_an_enqueued_point_comes_back_as_the_trial_it_became(
    make: Make, database: Database
) -> None:
    job = insert_job(database)
    insert_trials(database, job, [{}])
    trial = make(creating(database, job)).enqueue(job.ulid, {"lr": 0.005})
    assert (trial.number, trial.state) == (1, TrialState.QUEUED)
    assert (trial.source, trial.params) == ("enqueued", {"lr": 0.005})


def test_a_point_outside_the_space_is_refused_with_every_fault(
    make: Make, database: Database
) -> None:
    job = insert_job(database)
    with pytest.raises(SpecInvalid) as refused:
        make(never).enqueue(job.ulid, {"lr": 99.0, "depht": 2})
    assert [fault.pointer for fault in refused.value.faults] == ["/params/lr", "/params/depht"]
    assert "did you mean 'depth'?" in str(refused.value)
    assert waiting_requests(database, job) == []


def test_a_point_whose_model_is_beyond_the_limits_is_refused(
    make: Make, database: Database
) -> None:
    spec = make_spec(limits={"max_parameters": 50_000})
    job = insert_job(database, spec=spec)
    space = {p["name"]: p for p in make(never).job(job.ulid).space}
    largest = {name: space[name]["int"][1] for name in ("depth", "width")}
    with pytest.raises(SpecInvalid, match="beyond the job's limits"):
        make(never).enqueue(job.ulid, largest)


def test_a_point_that_violates_a_constraint_is_refused_with_its_text(
    make: Make, database: Database
) -> None:
    job = insert_job(database, spec=make_spec(constraints=["lr * depth <= 0.2"]))
    with pytest.raises(SpecInvalid) as refused:
        make(never).enqueue(job.ulid, {"lr": 0.1, "depth": 3})
    assert [(fault.pointer, fault.detail) for fault in refused.value.faults] == [
        (
            "/params",
            "The constraint 'lr * depth <= 0.2' does not hold for depth = 3, lr = 0.1; choose "
            "others.",
        )
    ]
    assert waiting_requests(database, job) == []


@pytest.mark.parametrize("state", ["cancelling", "succeeded", "failed", "cancelled"])
def test_a_job_that_takes_no_trials_refuses_a_point(
    make: Make, database: Database, state: str
) -> None:
    job = insert_job(database, state=state)
    with pytest.raises(TransitionRefused, match="given more trials; raise its budget first"):
        make(never).enqueue(job.ulid, {})


def test_waiting_points_count_against_the_budget(make: Make, database: Database) -> None:
    job = insert_job(database, spec=make_spec(budget={"trials": 2}))
    insert_trials(database, job, [{}])
    with pytest.raises(SchedulerBusy):
        make(pass_by).enqueue(job.ulid, {})
    with pytest.raises(SpecInvalid, match="All 2 trials of the budget are created"):
        make(never).enqueue(job.ulid, {})


def test_a_point_of_a_job_deleted_meanwhile_is_said_to_be_gone(
    make: Make, database: Database
) -> None:
    job = insert_job(database)
    with pytest.raises(JobNotFound):
        make(Scheduler(database, apply=removing)).enqueue(job.ulid, {})


# --- patch -------------------------------------------------------------------------------------


def patching(connection: sa.Connection, request: sa.Row[Any]) -> Outcome:
    changes = {k: v for k, v in request.payload.items() if k != "parallel"}
    changes["revision"] += 1
    if "parallel" in request.payload:
        parallel = request.payload["parallel"]
        changes["parallel"] = None if parallel == "auto" else parallel
    connection.execute(sa.update(jobs).where(jobs.c.id == request.job_id).values(changes))
    return {"ok": True}


def test_a_patch_changes_what_it_names_and_nothing_else(make: Make, database: Database) -> None:
    spec = make_spec(budget={"trials": 10, "hours": 1.0}, parallel=3, priority=1)
    job = insert_job(database, spec=spec)
    service = make(Scheduler(database, apply=patching))
    view = service.patch(
        job.ulid, {"revision": 1, "budget": {"trials": 20, "hours": None}, "labels": {"a": "b"}}
    )
    assert (view.budget.trials, view.budget.hours, view.budget.epochs) == (20, None, 20)
    assert (view.parallel, view.priority, view.labels) == (3, 1, {"a": "b"})
    assert view.revision == 2
    view = service.patch(job.ulid, {"revision": 2, "parallel": "auto", "priority": -5})
    assert (view.parallel, view.priority, view.budget.trials) == (None, -5, 20)


def test_the_scheduler_is_told_the_whole_budget_and_only_what_changes(
    make: Make, database: Database
) -> None:
    job = insert_job(database)
    with pytest.raises(SchedulerBusy):
        make(pass_by).patch(
            job.ulid, {"revision": 1, "budget": {"patience": 9}, "parallel": "auto"}
        )
    budget = {"trials": 50, "epochs": 20, "hours": None, "target": None, "patience": 9}
    assert waiting_requests(database, job) == [
        ("patch", {"revision": 1, "parallel": "auto", "budget": budget})
    ]


def test_a_patch_that_asks_for_nothing_changes_nothing(make: Make, database: Database) -> None:
    job = insert_job(database)
    view = make(never).patch(job.ulid, {"revision": 1, "budget": {"trials": 50}})
    assert view.revision == 1


def test_a_patch_of_another_revision_is_stale(make: Make, database: Database) -> None:
    job = insert_job(database, revision=4)
    with pytest.raises(StaleRevision) as stale:
        make(never).patch(job.ulid, {"revision": 3, "priority": 1})
    assert (stale.value.given, stale.value.current) == (3, 4)


@pytest.mark.parametrize(
    ("patch", "pointer", "words"),
    [
        ({}, "/revision", "revision is missing"),
        ({"revision": "1"}, "/revision", "integer"),
        ({"revision": 1, "priorty": 1}, "/priorty", "did you mean 'priority'?"),
        ({"revision": 1, "budget": {"trials": 0}}, "/budget/trials", "budget.trials = 0"),
        ({"revision": 1, "budget": {"trials": None}}, "/budget/trials", "budget.trials = None"),
        ({"revision": 1, "budget": {"hours": -1}}, "/budget/hours", "greater than 0"),
        ({"revision": 1, "budget": {"patience": "x"}}, "/budget/patience", "integer"),
        ({"revision": 1, "parallel": 0}, "/parallel", "parallel = 0"),
    ],
)
def test_a_patch_that_is_none_is_refused_where_it_is_wrong(
    make: Make, database: Database, patch: dict[str, Any], pointer: str, words: str
) -> None:
    job = insert_job(database)
    with pytest.raises(SpecInvalid) as refused:
        make(never).patch(job.ulid, patch)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
    assert words in str(refused.value)


def test_fewer_trials_than_there_are_is_refused_with_both_numbers(
    make: Make, database: Database
) -> None:
    job = insert_job(database)
    insert_trials(database, job, [{}] * 5)
    with pytest.raises(SpecInvalid, match=r"budget.trials = 4 is below the 5 trials"):
        make(never).patch(job.ulid, {"revision": 1, "budget": {"trials": 4}})
    with pytest.raises(SchedulerBusy):
        make(pass_by).patch(job.ulid, {"revision": 1, "budget": {"trials": 5}})


@pytest.mark.parametrize("state", ["cancelling", "cancelled"])
def test_a_cancelled_job_is_not_changed(make: Make, database: Database, state: str) -> None:
    job = insert_job(database, state=state)
    with pytest.raises(TransitionRefused):
        make(never).patch(job.ulid, {"revision": 1, "budget": {"trials": 99}})


def test_a_finished_job_is_changed_by_more_budget_only(make: Make, database: Database) -> None:
    job = insert_job(database, state="succeeded")
    with pytest.raises(TransitionRefused, match="changed but by a larger budget"):
        make(never).patch(job.ulid, {"revision": 1, "labels": {"a": "b"}})


FINISHED = {"trials": 6, "epochs": 2, "hours": 1.0, "target": 0.9, "patience": 4}


@pytest.fixture
def finished(database: Database) -> StoredJob:
    """A job that has used up its trials, its hours and its patience, and reached its target."""
    job = insert_job(database, state="succeeded", budget=FINISHED, run_seconds=3600.0)
    values: list[dict[str, Any]] = [{"value": value} for value in (0.5, 0.9, 0.1, 0.2)]
    insert_trials(database, job, [*values, {"state": "pruned"}, {"value": 0.3}])
    return job


def test_what_would_end_a_finished_job_again_at_once_is_refused_item_by_item(
    make: Make, finished: StoredJob
) -> None:
    with pytest.raises(SpecInvalid) as refused:
        make(never).patch(finished.ulid, {"revision": 1, "budget": {"target": 0.85}})
    assert {fault.pointer: fault.detail for fault in refused.value.faults} == {
        "/budget/trials": "budget.trials = 6: the job has 6 trials already; give more than 6.",
        "/budget/hours": "budget.hours = 1: 1 hours are used already; "
        "give more, or null for no limit.",
        "/budget/target": "budget.target = 0.85 is reached: the best value is 0.9; "
        "give a better one, or null for none.",
        "/budget/patience": "budget.patience = 4: 4 or more trials have ended since the best one; "
        "give more, or null for no limit.",
    }


@pytest.mark.parametrize("state", ["succeeded", "failed"])
def test_a_finished_job_with_more_of_everything_goes_on(
    make: Make, database: Database, finished: StoredJob, state: str
) -> None:
    with database.writing() as connection:
        connection.execute(sa.update(jobs).values(state=state))
    budget = {"trials": 7, "hours": 2, "target": 0.95, "patience": 5}

    def reopening(connection: sa.Connection, request: sa.Row[Any]) -> Outcome:
        patching(connection, request)
        return moving("queued")(connection, request)

    view = make(Scheduler(database, apply=reopening)).patch(
        finished.ulid, {"revision": 1, "budget": budget}
    )
    assert view.state is JobState.QUEUED
    assert view.budget.model_dump() == {**FINISHED, **budget}


# --- outcomes ----------------------------------------------------------------------------------


def test_every_refusal_survives_its_way_through_the_database(
    make: Make, database: Database
) -> None:
    job = insert_job(database)
    with pytest.raises(SpecInvalid) as refused:
        make(never).enqueue(job.ulid, {"nothing": 1})
    errors = (
        TransitionRefused("Job x", "failed", "paused"),
        StaleRevision("job_x", 1, 2),
        refused.value,
    )
    for error in errors:
        again = error_of(refusal(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
    assert error_of({"ok": True, "number": 3}) is None
