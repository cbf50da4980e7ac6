"""Clients that ask for a stream and take nothing: they cost little memory, and others no time."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from tests.factories import insert_events, insert_job
from tests.faults.counting import Counts
from tests.servers import Server, running
from tuner.client import Client
from tuner.db import Database, events
from tuner.schema import upgrade
from tuner.settings import Settings

#: More than a page of the stream, and of bytes than sockets hold.
EVENTS = 2_000
BYTES = 2_000
#: A page of large events and a full buffer, as a stalled client keeps them, and what the api takes
#: anyhow: together less than 50 MB for 200 clients.
MOST_MB_EACH = 0.15
MOST_MB_ANYHOW = 20
QUESTIONS = 300


@pytest.fixture
def job(settings: Settings) -> str:
    """A paused job with many events, in the database of the server to come."""
    settings.root.mkdir(parents=True)
    with closing(Database(settings.url)) as database:
        upgrade(database)
        job = insert_job(database, state="paused")
        insert_events(database, job, ["note"] * EVENTS)
        with database.writing() as connection:
            connection.execute(sa.update(events).values(data={"text": "x" * BYTES}))
    return job.ulid


@contextmanager
def stalled(server: Server, job: str) -> Iterator[None]:
    """A client that was sent the first event, and takes no more than its small buffer holds."""
    address = urlsplit(server.url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((address.hostname, address.port))
        asked = f"GET /v1/jobs/{job}/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
        client.sendall(asked.encode())
        heard = b""
        while b"id: 1\n" not in heard:
            heard += client.recv(256)
        yield


def ask(server: Server, tuner: Client, job: str) -> tuple[float, int]:
    """Milliseconds in which 99 of 100 questions are answered, and the most memory in use, in MB."""
    times, most, api = [], 0, server.part("api")
    for _ in range(QUESTIONS):
        began = time.perf_counter()
        assert [one.id for one in tuner.jobs()] == [job]
        times.append(time.perf_counter() - began)
        most = max(most, api.memory_info().rss >> 20)
    return sorted(times)[QUESTIONS * 99 // 100] * 1e3, most


def test_clients_that_take_nothing_cost_little_memory(
    job: str, rounds: Callable[[int, int], int], counted: Counts
) -> None:
    with (
        counted("clients that ask for events and take none", "the api") as count,
        running() as server,
        Client(server.url) as tuner,
        ExitStack() as clients,
    ):
        ask(server, tuner, job)  # what is kept after the first questions is no growth
        before_ms, before_mb = ask(server, tuner, job)
        stalling = rounds(20, 200)
        for _ in range(stalling):
            clients.enter_context(stalled(server, job))
            count.add(1)
        after_ms, after_mb = ask(server, tuner, job)
        count.tell(
            memory=f"{after_mb - before_mb} MB more",
            of_100_questions_99_take=f"{before_ms:.0f} ms before, {after_ms:.0f} ms meanwhile",
        )
        assert after_mb - before_mb < MOST_MB_ANYHOW + MOST_MB_EACH * stalling
