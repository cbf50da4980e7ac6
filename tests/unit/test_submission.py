"""From a document to a job in the queue: once per key, or with every fault named."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.factories import FULL, NOON, insert_host, make_spec
from tuner.db import Database, jobs
from tuner.errors import DiskLimitReached, IdempotencyKeyReused, SpecInvalid, StoreUnavailable
from tuner.planning.plan import Plan
from tuner.service import Service
from tuner.settings import Settings
from tuner.spec import parse_spec
from tuner.states import Direction, JobState


@pytest.fixture
def service(sqlite_database: Database, settings: Settings) -> Service:
    return Service(sqlite_database, settings, clock=lambda: NOON)


def count_jobs(database: Database) -> int:
    with database.reading() as connection:
        count: int = connection.execute(sa.select(sa.func.count()).select_from(jobs)).scalar_one()
        return count


def test_a_submitted_job_waits_in_the_queue_with_all_that_was_asked(service: Service) -> None:
    document = make_spec(
        name="mine",
        budget={"trials": 7, "epochs": 3, "hours": 0.5},
        parallel=2,
        priority=5,
        labels={"team": "vision"},
    )
    job, is_new = service.submit(document)
    assert is_new
    assert job.id.startswith("job_")
    assert job.state is JobState.QUEUED
    assert (job.name, job.parallel, job.priority) == ("mine", 2, 5)
    assert (job.model, job.data, job.loss) == ("mlp", "digits", "cross_entropy")
    assert (job.budget.trials, job.budget.epochs, job.budget.hours) == (7, 3, 0.5)
    assert (job.labels, job.revision, job.counts.created) == ({"team": "vision"}, 1, 0)
    assert (job.metric, job.direction) == ("val_accuracy", Direction.MAXIMIZE)
    assert (job.created_at, job.started_at, job.best) == (NOON, None, None)


def test_a_job_without_a_name_is_called_after_its_model_and_data(service: Service) -> None:
    assert service.submit(make_spec())[0].name == "mlp on digits"


def test_the_job_keeps_its_spec_its_plan_and_its_seed(
    service: Service, sqlite_database: Database
) -> None:
    document = make_spec(search={"seed": 11})
    job = service.job(service.submit(document)[0].id)
    assert parse_spec(job.spec) == parse_spec(document)
    assert job.seed == 11
    assert "lr" in [parameter["name"] for parameter in job.space]
    with sqlite_database.reading() as connection:
        plan = Plan.from_json(connection.execute(sa.select(jobs.c.plan)).scalar_one())
    assert plan.space.to_json() == job.space


def test_the_answer_links_to_the_job_its_trials_and_the_dashboard(service: Service) -> None:
    job = service.submit(make_spec())[0]
    assert job.links == {
        "self": f"/v1/jobs/{job.id}",
        "trials": f"/v1/jobs/{job.id}/trials",
        "best": f"/v1/jobs/{job.id}/best",
        "events": f"/v1/jobs/{job.id}/events",
    }
    assert job.dashboard_url == "/dashboard/studies/1"


def test_an_invalid_spec_is_refused_and_nothing_is_stored(
    service: Service, sqlite_database: Database
) -> None:
    for document, pointer in {
        "model": (make_spec(model="mpl"), "/model"),
        "key": (make_spec(modle="mlp"), "/modle"),
        "budget": (make_spec(budget={"trials": 0}), "/budget/trials"),
        "nothing": ([], ""),
    }.values():
        with pytest.raises(SpecInvalid) as refusal:
            service.submit(document)
        assert [fault.pointer for fault in refusal.value.faults] == [pointer]
    assert count_jobs(sqlite_database) == 0


def test_validation_says_what_would_become_of_a_spec_and_stores_nothing(
    service: Service, sqlite_database: Database
) -> None:
    resolved = service.validate(make_spec(space={"lr": 0.01}))
    assert resolved.spec["model"] == "mlp"
    assert resolved.default_config["lr"] == 0.01
    assert {"name": "lr", "fixed": 0.01} in [
        {key: parameter[key] for key in ("name", "fixed") if key in parameter}
        for parameter in resolved.space
    ]
    assert resolved.parameters.smallest <= resolved.parameters.default
    assert resolved.memory_mb > 0
    assert count_jobs(sqlite_database) == 0


def test_the_same_key_and_document_give_the_same_job(
    service: Service, sqlite_database: Database
) -> None:
    document = make_spec(labels={"a": "1", "b": "2"}, search={})
    job, is_new = service.submit(document, idempotency_key="key")
    again, is_new_again = service.submit(
        {**document, "labels": {"b": "2", "a": "1"}}, idempotency_key="key"
    )
    assert (is_new, is_new_again) == (True, False)
    assert again.id == job.id
    assert count_jobs(sqlite_database) == 1


def test_a_key_that_came_with_another_document_is_refused(service: Service) -> None:
    job, _ = service.submit(make_spec(), idempotency_key="key")
    with pytest.raises(IdempotencyKeyReused) as refusal:
        service.submit(make_spec(priority=1), idempotency_key="key")
    assert (refusal.value.key, refusal.value.job) == ("key", job.id)


def test_without_a_key_every_submission_is_a_job_of_its_own(service: Service) -> None:
    assert service.submit(make_spec())[0].id != service.submit(make_spec())[0].id


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b", "a\nb", "ö"])
def test_what_cannot_be_a_key_is_refused(service: Service, key: str) -> None:
    with pytest.raises(SpecInvalid, match="printable"):
        service.submit(make_spec(), idempotency_key=key)


def test_a_submission_writes_a_job_and_nothing_else(
    service: Service, sqlite_database: Database
) -> None:
    service.submit(make_spec())
    with sqlite_database.reading() as connection:
        for table in (t for t in jobs.metadata.sorted_tables if t is not jobs):
            rows = connection.execute(sa.select(sa.func.count()).select_from(table))
            assert rows.scalar_one() == 0, table.name


def test_a_database_that_does_not_answer_is_said_to(settings: Settings, tmp_path: Path) -> None:
    nowhere = Database(f"postgresql://postgres@/tuner?host={tmp_path}")
    service = Service(nowhere, settings)
    with pytest.raises(StoreUnavailable):
        service.submit(make_spec())
    with pytest.raises(StoreUnavailable):
        service.ready()
    nowhere.close()


def test_where_files_take_too_much_no_job_is_taken_in(
    service: Service, sqlite_database: Database
) -> None:
    first, _ = service.submit(make_spec(), idempotency_key="one")
    insert_host(sqlite_database, "here", disk=FULL)
    message = r"take 2\.5 GB; TUNER_DISK_GB allows 2 GB\."
    with pytest.raises(DiskLimitReached, match=message) as refused:
        service.submit(make_spec())
    assert "tuner delete JOB" in (refused.value.hint or "")
    assert service.submit(make_spec(), idempotency_key="one")[0].id == first.id
    assert count_jobs(sqlite_database) == 1
