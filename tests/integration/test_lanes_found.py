"""A scheduler that takes a job up knows how many lanes its attempts have found."""

from tests.factories import NOON, insert_attempt, insert_job, insert_trials, make_spec
from tuner.db import Database
from tuner.leader.recovery import recover
from tuner.scheduler.state import JobRun
from tuner.slots import Device, Inventory

CPU = Device(name="cpu", kind="cpu", capacity=2.0, free=2.0, memory_mb=1000)


def jobs_of(database: Database) -> list[JobRun]:
    with database.reading() as connection:
        state = recover(connection, Inventory(host="here", devices=(CPU,)), NOON).state
    return list(state.jobs.values())


def lanes_of_jobs(database: Database) -> list[int]:
    return [job.lanes for job in jobs_of(database)]


def test_what_a_probe_measured_and_what_did_not_fit_outlive_the_scheduler(
    database: Database,
) -> None:
    job = insert_job(database, spec=make_spec(resources={"lanes": "auto"}))
    assert lanes_of_jobs(database) == [1], "nobody has looked yet"
    insert_attempt(database, job, None, state="succeeded", facts={"lanes": 8}, finished_at=NOON)
    assert lanes_of_jobs(database) == [8]
    [trial] = insert_trials(database, job, [{"state": "queued", "params": {"lr": 0.1}}])
    facts = {"lanes": 4}
    insert_attempt(
        database, job, trial, state="preempted", reason="preempted", facts=facts, finished_at=NOON
    )
    insert_attempt(
        database, job, trial, ordinal=2, state="preempted", reason="preempted", finished_at=NOON
    )
    assert lanes_of_jobs(database) == [4]


def test_how_lanes_step_outlives_the_scheduler_too(database: Database) -> None:
    job = insert_job(database, spec=make_spec(resources={"graph": "compile"}))
    auto = insert_job(database, spec=make_spec())

    def graphs() -> list[str]:
        return [each.graph for each in jobs_of(database)]

    assert graphs() == ["compile", "eager"], "nobody has looked yet"
    insert_attempt(database, job, None, state="succeeded", facts={"graph": "eager"})
    insert_attempt(database, auto, None, state="succeeded", facts={"graph": "compile"})
    assert graphs() == ["eager", "compile"]


def test_a_number_that_was_asked_for_holds_until_less_fits(database: Database) -> None:
    job = insert_job(database, spec=make_spec(resources={"lanes": 6}))
    insert_attempt(database, job, None, state="succeeded", facts={"train_rows": 9})
    assert lanes_of_jobs(database) == [6]
    insert_attempt(database, job, None, ordinal=2, state="succeeded", facts={"lanes": 3})
    assert lanes_of_jobs(database) == [3]
