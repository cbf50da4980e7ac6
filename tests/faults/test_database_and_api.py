"""What clients hear while the database is away: come back in a moment, and never of a defect."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from httpx2 import Response
from starlette.testclient import TestClient

from app.event_stream import frames_of
from app.log_stream import follow
from app.main import create_app
from app.tailer import Feed, Tailer
from tests.api.test_dashboard import serving
from tests.cutting import CuttingProxy, Fate
from tests.factories import (
    insert_attempt,
    insert_events,
    insert_job,
    insert_metrics,
    insert_trials,
    make_spec,
)
from tests.faults.counting import Counts
from tests.locks import locked
from tests.postgres import PostgresServer
from tuner.db import Database, jobs
from tuner.errors import StoreUnavailable
from tuner.service import Service
from tuner.settings import Settings

Rounds = Callable[[int, int], int]
KEY = {"idempotency-key": "once"}
#: Operations that are answered from files, or from what the source knows.
WITHOUT_DATABASE = {
    "add_code", "add_data", "continue_upload", "delete_code", "drop_upload", "is_alive",
    "list_augmentations", "list_code", "list_datasets", "list_losses", "list_models",
    "list_optimizers", "list_preparations", "list_problems", "list_pruners", "list_samplers",
    "show_code", "show_dataset", "show_upload",
}  # fmt: skip
BODIES: dict[str, Any] = {
    "submit_job": {"json": make_spec()},
    "patch_job": {"json": {"revision": 1, "priority": 1}},
    "enqueue_trial": {"json": {"params": {}}},
    "add_data": {"content": b"x,y\n1,2\n"},
    "continue_upload": {"content": b""},
}


@contextmanager
def interface(settings: Settings, served: Database) -> Iterator[TestClient]:
    """The application on a database; it never waits for a scheduler."""
    url = served.url.render_as_string(hide_password=False)
    chosen = Settings(home=settings.home, database_url=url)
    app = create_app(chosen)
    address = "http://127.0.0.1:8700"
    with TestClient(app, base_url=address, raise_server_exceptions=False) as client:
        app.state.service = Service(served, chosen, wait=lambda seconds: None)
        yield client


def assert_unavailable(answer: Response) -> None:
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "2"), answer.text
    if answer.request.method != "HEAD":
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["hint"] == "Try again in a moment; trials go on meanwhile."


def count_jobs(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(jobs)) or 0)


def ask_all(client: TestClient, job: str) -> dict[str, Response]:
    """The answer of every operation there is, about a job that is finished."""
    found = {}
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        at = path.format(job=job, number=0, attempt=1, name="points", upload="x", sha256="0" * 64)
        for method, operation in operations.items():
            name = operation["operationId"]
            found[name] = client.request(
                method,
                at,
                params={"name": "points", "filename": "a.csv"} if name == "add_data" else {},
                headers={"upload-offset": "0"} if name == "continue_upload" else {},
                **BODIES.get(name, {}),
            )
    return found


def insert_finished_job(database: Database) -> str:
    job = insert_job(database, state="succeeded")
    [trial, *_] = insert_trials(database, job, [{}, {"state": "failed"}])
    insert_attempt(database, job, trial, state="succeeded")
    insert_metrics(database, trial, [{"val_accuracy": 0.5}])
    insert_events(database, job, ["submitted", "started", "succeeded"])
    return job.ulid


@pytest.mark.postgres
def test_every_operation_says_come_back_while_the_database_is_away_and_then_goes_on(
    mortal: PostgresServer, watched: Database, served: Database, settings: Settings
) -> None:
    job = insert_finished_job(watched)
    with interface(settings, served) as client:
        assert not unavailable(ask_all(client, job))
        # Nobody sees this restart: connections that were open are found broken, each pool's once,
        # those for transactions, for single questions, and for the figures.
        mortal.stop(signal.SIGINT)
        mortal.start()
        assert len(unavailable(ask_all(client, job))) <= 3
        mortal.stop(signal.SIGQUIT)
        answers = ask_all(client, job)
        assert answers.keys() - unavailable(answers) == WITHOUT_DATABASE
        mortal.start()
        assert not unavailable(ask_all(client, job))


def unavailable(answers: dict[str, Response]) -> set[str]:
    """The operations that were answered with 503; none was with another failure."""
    failed = {name: answer for name, answer in answers.items() if answer.status_code >= 500}
    for answer in failed.values():
        assert_unavailable(answer)
    return set(failed)


@pytest.mark.postgres
def test_the_dashboard_says_come_back_while_the_database_is_away(
    mortal: PostgresServer, name: str, tmp_path: Path
) -> None:
    with serving(mortal.url(name), tmp_path) as server:
        assert server.get("/api/studies").status_code == 200
        mortal.stop(signal.SIGINT)
        answer = server.get("/api/studies")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "it failed, as it does while the database is away" in answer.json()["detail"]
        mortal.start()
        # Its own connections are found broken while the database is away, if it asks for any.
        assert server.get("/api/studies").status_code == 200


@pytest.mark.postgres
@pytest.mark.parametrize("fate", ["unanswered", "lost"])
def test_a_submission_that_is_repeated_after_a_cut_commit_is_one_job(
    mortal: PostgresServer, name: str, watched: Database, settings: Settings, fate: Fate
) -> None:
    fates: list[Fate] = []
    with (
        CuttingProxy(mortal, lambda: fates.pop() if fates else "answered") as proxy,
        closing(Database(proxy.url(name))) as through,
        interface(settings, through) as client,
    ):
        # Of the key's look-up, of the disk's, and of the insertion.
        fates[:] = [fate, "answered", "answered"]
        assert_unavailable(client.post("/v1/jobs", json=make_spec(), headers=KEY))
        assert count_jobs(watched) == (fate == "unanswered")
        again = client.post("/v1/jobs", json=make_spec(), headers=KEY)
        assert again.status_code == 202
    assert count_jobs(watched) == 1


@pytest.mark.postgres
def test_a_stream_of_events_goes_on_after_a_restart(
    mortal: PostgresServer, watched: Database, served: Database, settings: Settings
) -> None:
    job = insert_job(watched)
    insert_events(watched, job, ["submitted", "started"])
    service = Service(served, settings)
    tailer = Tailer(Feed(newest=service.newest_event, after=service.events_after))

    async def story() -> list[bytes]:
        tailing = asyncio.create_task(tailer.tail())
        frames = []
        async for frame in frames_of(job.ulid, 0, service, tailer):
            frames.append(frame)
            if frame.startswith(b"id: 2"):
                # Not on another thread: the server ends with the one that started it.
                mortal.stop(signal.SIGINT)
                start_and_go_on()
            elif frame.startswith(b"id: 4"):
                break
        tailing.cancel()
        return [frame for frame in frames if frame.startswith(b"id: ")]

    def start_and_go_on() -> None:
        mortal.start()
        watched.engine.dispose()
        insert_events(watched, job, ["trial_started", "trial_completed"])

    frames = asyncio.run(story())
    assert [int(frame.split()[1]) for frame in frames] == [1, 2, 3, 4]


def test_a_log_is_followed_on_while_the_database_is_away(tmp_path: Path) -> None:
    log = tmp_path / "1.log"
    log.write_bytes(b"first ")
    answers = [False, StoreUnavailable("away"), StoreUnavailable("away"), False, True, True]

    def has_ended() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, bool):
            return answer
        with log.open("ab") as file:
            file.write(b"more ")
        raise answer

    async def story() -> bytes:
        return b"".join([part async for part in follow(log, has_ended, asyncio.Event())])

    assert asyncio.run(story()) == b"first more more "


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_file_that_somebody_else_has_locked_is_answered_503_and_read_on(
    database: Database, settings: Settings, rounds: Rounds
) -> None:
    url = database.url.render_as_string()
    # In full, the interface's own patience, twice: for ten seconds.
    with (
        closing(Database(url, patience_s=rounds(1, 50) / 10)) as served,
        interface(settings, served) as client,
    ):
        with locked(database):
            for _ in range(2):
                answer = client.post("/v1/jobs", json=make_spec(), headers=KEY)
                assert_unavailable(answer)
                assert "database is locked" in answer.json()["detail"]
            assert client.get("/v1/jobs").json()["jobs"] == []
        assert client.post("/v1/jobs", json=make_spec(), headers=KEY).status_code == 202
    assert count_jobs(database) == 1


@pytest.mark.postgres
def test_a_table_that_somebody_else_has_locked_is_answered_503(
    postgres_database: Database, settings: Settings
) -> None:
    url = postgres_database.url.render_as_string(hide_password=False)
    with (
        closing(Database(url, patience_s=0.1)) as served,
        interface(settings, served) as client,
    ):
        with postgres_database.writing() as connection:
            connection.execute(sa.text("LOCK TABLE jobs"))
            for answer in (client.get("/v1/jobs"), client.post("/v1/jobs", json=make_spec())):
                assert_unavailable(answer)
                assert "lock timeout" in answer.json()["detail"]
        assert client.post("/v1/jobs", json=make_spec()).status_code == 202


def test_tables_of_another_version_are_answered_503(database: Database, settings: Settings) -> None:
    """Those of a database that came, or was upgraded, when the interface was there already."""
    job = insert_finished_job(database)
    with interface(settings, database) as client:
        with database.writing() as connection:
            connection.execute(sa.text("ALTER TABLE trials RENAME COLUMN best_step TO other"))
        for path in (f"/v1/jobs/{job}/trials", f"/v1/jobs/{job}/trials/0"):
            answer = client.get(path)
            assert_unavailable(answer)
            assert "best_step" in answer.json()["detail"]


def test_eight_writers_at_once_lose_nothing(
    database: Database, settings: Settings, rounds: Rounds, counted: Counts
) -> None:
    """Each has connections of its own, as processes have."""
    each = rounds(10, 150)
    url = database.url.render_as_string(hide_password=False)

    def write(_: int) -> None:
        with closing(Database(url)) as own:
            service = Service(own, settings)
            for _ in range(each):
                service.submit(make_spec())

    with (
        counted("jobs submitted by eight writers at once", database) as count,
        ThreadPoolExecutor(8) as pool,
    ):
        list(pool.map(write, range(8)))
        count.add(8 * each, jobs=count_jobs(database), errors=0)
        assert count_jobs(database) == 8 * each


def test_fifty_threads_with_one_key_make_one_job(
    database: Database, settings: Settings, rounds: Rounds, counted: Counts
) -> None:
    service = Service(database, settings)
    keys = rounds(2, 20)
    with (
        counted("keys submitted by fifty threads at once", database) as count,
        ThreadPoolExecutor(50) as pool,
    ):
        for key in range(keys):
            start = Barrier(50)

            def submit(_: int, key: str = str(key), start: Barrier = start) -> tuple[str, bool]:
                start.wait()
                job, is_new = service.submit(make_spec(), idempotency_key=key)
                return job.id, is_new

            answers = list(pool.map(submit, range(50)))
            assert len({job for job, _ in answers}) == 1
            assert sum(is_new for _, is_new in answers) == 1
        count.add(keys, jobs=count_jobs(database))
        assert count_jobs(database) == keys
