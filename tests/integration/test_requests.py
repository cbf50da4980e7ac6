"""What the service records is what the scheduler reads."""

from concurrent.futures import Future
from contextlib import suppress

import pytest
import sqlalchemy as sa

from tests.factories import NOON, insert_job, make_spec
from tuner.db import Database, requests
from tuner.errors import SchedulerBusy, SpecInvalid
from tuner.leader.inbox import Inbox
from tuner.leader.recovery import recover
from tuner.outcomes import error_of
from tuner.scheduler.events import Cancel, Enqueue, Patch, Pause, Verb
from tuner.service import Service
from tuner.settings import Settings
from tuner.slots import Device, Inventory
from tuner.spec import Budget

CPU = Device(name="cpu", kind="cpu", capacity=2.0, free=2.0, memory_mb=1000)


@pytest.fixture
def service(database: Database, settings: Settings) -> Service:
    """A service whose requests nobody applies."""
    return Service(database, settings, clock=lambda: NOON, wait=lambda seconds: None)


def read(database: Database) -> list[Verb]:
    with database.reading() as connection:
        recovered = recover(connection, Inventory(host="here", devices=(CPU,)), NOON)
    jobs = {live.job.id: live for live, _study in recovered.jobs}
    inbox = Inbox(database, lambda job, attempts: Future[bool]())
    return list(inbox.requests(jobs.get, NOON))


def test_every_request_arrives_as_the_verb_it_means(database: Database, service: Service) -> None:
    job = insert_job(database, spec=make_spec(budget={"trials": 8, "hours": 1.0}))
    service.pause(job.ulid)
    service.cancel(job.ulid)
    with suppress(SchedulerBusy):
        service.enqueue(job.ulid, {"lr": 0.01})
    pause, cancel, enqueue = read(database)
    assert isinstance(pause, Pause)
    assert isinstance(cancel, Cancel)
    assert isinstance(enqueue, Enqueue)
    assert enqueue.params == {"lr": 0.01}
    assert {verb.job for verb in (pause, cancel, enqueue)} == {job.id}


def test_a_patch_arrives_with_the_whole_budget_and_what_it_leaves_alone_as_none(
    database: Database, service: Service
) -> None:
    job = insert_job(database, spec=make_spec(budget={"trials": 8, "hours": 1.0}))
    for change in (
        {"budget": {"trials": 9, "hours": None}, "labels": {"a": "b"}},
        {"parallel": "auto", "priority": 3},
        {"parallel": 2},
    ):
        with suppress(SchedulerBusy):
            service.patch(job.ulid, {"revision": 1, **change})
    first, second, third = read(database)
    assert isinstance(first, Patch)
    assert isinstance(second, Patch)
    assert isinstance(third, Patch)
    assert first.budget == Budget(trials=9).model_dump()
    assert (first.labels, first.sets_parallel, first.priority) == ({"a": "b"}, False, None)
    assert (second.budget, second.sets_parallel, second.parallel) == (None, True, None)
    assert (second.priority, second.labels) == (3, None)
    assert (third.sets_parallel, third.parallel) == (True, 2)


def test_a_request_of_a_newer_api_is_refused_and_those_after_it_are_heard(
    database: Database, service: Service
) -> None:
    job = insert_job(database)
    row = {"job_id": job.id, "kind": "fork", "payload": {}, "created_at": NOON}
    with database.writing() as connection:
        connection.execute(sa.insert(requests), row)
    service.pause(job.ulid)
    assert [type(verb).__name__ for verb in read(database)] == ["Pause"]
    with database.reading() as connection:
        outcome = connection.scalar(sa.select(requests.c.outcome).where(requests.c.kind == "fork"))
    error = error_of(outcome)
    assert isinstance(error, SpecInvalid)
    assert str(error) == (
        "The scheduler knows no request of kind 'fork': it is older than the api that took it. "
        "Start the same version of both."
    )
