"""The application in a process of its own, over a real connection."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx2
import pytest

from tests.factories import insert_attempt, insert_events, insert_job, insert_trials, make_spec
from tuner.db import Database
from tuner.settings import Settings
from tuner.workers.logs import CappedLog

SERVE = ["-m", "uvicorn", "--factory", "app.main:create_app", "--log-level", "warning", "--fd"]


class Server:
    """A server process on a socket that was listening before it started."""

    def __init__(self, environment: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            self.process = subprocess.Popen(
                [sys.executable, *SERVE, str(listening.fileno())],
                env={**os.environ, **environment},
                pass_fds=[listening.fileno()],
            )

    def end(self) -> int:
        """Ask the process to end, and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture
def server(database: Database, settings: Settings) -> Iterator[Server]:
    url = database.url.render_as_string(hide_password=False)
    server = Server({"TUNER_HOME": str(settings.home), "TUNER_DATABASE_URL": url})
    yield server
    if server.process.poll() is None:
        server.process.kill()
    server.process.wait()


def test_a_job_is_submitted_and_watched_over_the_wire(server: Server, database: Database) -> None:
    with httpx2.Client(base_url=server.url, timeout=60) as client:
        assert client.get("/readyz").status_code == 200
        submitted = client.post("/v1/jobs", json=make_spec())
        assert submitted.status_code == 202
        job = insert_job(database)
        with client.stream("GET", f"/v1/jobs/{job.ulid}/events") as stream:
            insert_events(database, job, ["submitted", "started"])
            seen = []
            for message in httpx2.EventSource(stream):
                if message.data:
                    seen.append((message.id, message.event))
                if len(seen) == 2:
                    break
        assert seen == [("1", "submitted"), ("2", "started")]


def test_open_streams_do_not_hold_the_server_up(server: Server, database: Database) -> None:
    job = insert_job(database)
    [trial] = insert_trials(database, job, [{"state": "running"}])
    insert_attempt(database, job, trial)
    insert_events(database, job, ["submitted"])
    ended = threading.Barrier(3, timeout=60)

    def read(path: str, begun: threading.Event) -> None:
        with (
            httpx2.Client(base_url=server.url, timeout=60) as client,
            client.stream("GET", path) as stream,
        ):
            begun.set()
            for _ in stream.iter_bytes():
                pass
        ended.wait()

    for path in ("events", "trials/0/logs?follow=true"):
        begun = threading.Event()
        threading.Thread(target=read, args=(f"/v1/jobs/{job.ulid}/{path}", begun)).start()
        assert begun.wait(timeout=60)
    assert server.end() in (0, -signal.SIGTERM)
    ended.wait()


def test_a_log_is_followed_while_it_is_written(
    server: Server, database: Database, settings: Settings
) -> None:
    job = insert_job(database)
    [trial] = insert_trials(database, job, [{"state": "running"}])
    attempt = insert_attempt(database, job, trial)
    path = f"/v1/jobs/{job.ulid}/trials/0/logs?follow=true"
    with (
        CappedLog(settings.artifacts / f"logs/{attempt}.log") as log,
        httpx2.Client(base_url=server.url, timeout=60) as client,
        client.stream("GET", path) as stream,
    ):
        pieces = stream.iter_bytes()
        log.write(b"epoch 1\n")
        assert next(pieces) == b"epoch 1\n"
        log.write(b"epoch 2\n")
        assert next(pieces) == b"epoch 2\n"
        with database.writing() as connection:
            connection.exec_driver_sql("UPDATE attempts SET state = 'succeeded'")
        assert list(pieces) == []


def test_the_server_starts_without_the_heavy_libraries() -> None:
    script = (
        "import sys; from app.main import create_app; create_app().openapi(); "
        "print(sorted({'torch', 'optuna', 'numpy', 'sklearn', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
