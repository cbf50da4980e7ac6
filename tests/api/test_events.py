"""A job's events as a stream."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from app import patient_stream
from app import tailer as tailing
from app.event_stream import frames_of
from app.patient_stream import PatientStream
from app.tailer import Feed, Listener, Notice, Tailer
from tests.api.conftest import on_sqlite
from tests.factories import NOON, StoredJob, insert_events, insert_job
from tuner.db import Database, events, jobs
from tuner.service import Service
from tuner.settings import Settings
from tuner.views import EventView

Frames = list[bytes]


def ids(body: str) -> list[int]:
    """The numbers of the events in a stream."""
    return [int(line[4:]) for line in body.splitlines() if line.startswith("id: ")]


def event(seq: int) -> EventView:
    """An event that says nothing."""
    return EventView(seq=seq, kind="note", at=NOON)


@pytest.fixture
def finished(database: Database) -> StoredJob:
    """A finished job with six events."""
    job = insert_job(database, state="succeeded")
    kinds = ["submitted", "started", "trial_started", "trial_completed", "best_improved"]
    insert_events(database, job, [*kinds, "succeeded"])
    return job


def test_the_stream_of_a_finished_job_tells_all_and_ends(
    api: TestClient, finished: StoredJob
) -> None:
    answer = api.get(f"/v1/jobs/{finished.ulid}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert ids(answer.text) == [1, 2, 3, 4, 5, 6]
    assert "event: best_improved\ndata: {" in answer.text


def test_a_stream_is_resumed_after_the_last_event_seen(
    api: TestClient, finished: StoredJob
) -> None:
    path = f"/v1/jobs/{finished.ulid}/events"
    assert ids(api.get(f"{path}?after=4").text) == [5, 6]
    assert ids(api.get(f"{path}?after=1", headers={"Last-Event-ID": "5"}).text) == [6]


def test_a_client_that_has_everything_is_told_not_to_come_back(
    api: TestClient, finished: StoredJob
) -> None:
    path = f"/v1/jobs/{finished.ulid}/events"
    answer = api.get(path, headers={"Last-Event-ID": "6"})
    assert (answer.status_code, answer.content) == (204, b"")


@on_sqlite
@pytest.mark.parametrize("last", ["-1", "x", "9" * 12])
def test_an_event_number_that_is_none_is_refused(
    api: TestClient, finished: StoredJob, last: str
) -> None:
    path = f"/v1/jobs/{finished.ulid}/events"
    assert api.get(path, headers={"Last-Event-ID": last}).status_code == 422
    assert api.get(path, params={"after": last}).status_code == 422


class World:
    """A service, its tailer, and somebody who reads a job's stream, on one event loop."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.service = Service(database, settings)
        self.tailer = Tailer(
            Feed(newest=self.service.newest_event, after=self.service.events_after)
        )
        self.job = insert_job(database)

    def play(self, story: Callable[[], Awaitable[None]]) -> None:
        """Run `story` beside the tailer."""
        asyncio.run(self._play(story))

    async def _play(self, story: Callable[[], Awaitable[None]]) -> None:
        tail = asyncio.create_task(self.tailer.tail())
        try:
            async with asyncio.timeout(60):
                await story()
        finally:
            tail.cancel()

    async def read(self, *, until: int, after: int = 0) -> Frames:
        """Frames of the stream up to event `until`."""
        frames: Frames = []
        async for frame in frames_of(self.job.ulid, after, self.service, self.tailer):
            frames.append(frame)
            if frame.startswith(b"id: %d\n" % until):
                break
        return frames

    async def happens(self, *kinds: str) -> None:
        await asyncio.to_thread(insert_events, self.database, self.job, kinds)

    async def is_read(self) -> None:
        """Wait until somebody listens and nothing committed from now on is missed."""
        await self.tailer.reading.wait()

    async def succeeds(self) -> None:
        """The job ends as the scheduler ends it: state and events in one commit."""

        def end() -> None:
            kinds = ("trial_completed", "succeeded")
            rows = [
                {"job_id": self.job.id, "seq": seq, "kind": kind, "at": NOON, "data": {}}
                for seq, kind in enumerate(kinds, start=1)
            ]
            with self.database.writing() as connection:
                connection.execute(jobs.update().values(state="succeeded"))
                connection.execute(events.insert(), rows)

        await asyncio.to_thread(end)


@pytest.fixture
def world(database: Database, settings: Settings) -> World:
    return World(database, settings)


def test_events_reach_a_listener_as_they_happen(world: World) -> None:
    async def story() -> None:
        await world.happens("submitted")
        reader = asyncio.create_task(world.read(until=3))
        await world.is_read()
        await world.happens("started", "trial_started")
        frames = await reader
        assert ids(b"".join(frames).decode()) == [1, 2, 3]

    world.play(story)


def test_many_listeners_cost_one_reader(world: World) -> None:
    async def story() -> None:
        readers = [asyncio.create_task(world.read(until=2)) for _ in range(20)]
        await world.is_read()
        await world.happens("submitted", "started")
        for frames in await asyncio.gather(*readers):
            assert ids(b"".join(frames).decode()) == [1, 2]

    world.play(story)


def test_the_stream_ends_with_the_job(world: World) -> None:
    async def story() -> None:
        frames: Frames = []

        async def read_all() -> None:
            async for frame in frames_of(world.job.ulid, 0, world.service, world.tailer):
                frames.append(frame)

        reader = asyncio.create_task(read_all())
        await world.is_read()
        await world.succeeds()
        await reader
        assert ids(b"".join(frames).decode()) == [1, 2]

    world.play(story)


def test_the_stream_ends_with_the_server(world: World) -> None:
    async def story() -> None:
        reader = asyncio.create_task(world.read(until=99))
        await world.is_read()
        world.tailer.close()
        await reader

    world.play(story)


class Behind(Service):
    """A service that shows events only from its second reading on."""

    shown: tuple[EventView, ...] = ()

    def events(self, job: str, after: int = 0, limit: int = 500) -> list[EventView]:
        seen, self.shown = self.shown, tuple(event(seq) for seq in (1, 2, 3))
        return [one for one in seen if one.seq > after]


@on_sqlite
def test_a_gap_is_filled_from_the_store(world: World, settings: Settings) -> None:
    world.service = Behind(world.database, settings)

    async def story() -> None:
        reader = asyncio.create_task(world.read(until=3))
        await world.is_read()
        # The first two never come: as if they had been committed behind the tailer's back.
        world.tailer._deliver(world.job.ulid, event(3))
        assert ids(b"".join(await reader).decode()) == [1, 2, 3]

    world.play(story)


@on_sqlite
def test_nothing_is_read_while_nobody_listens(world: World) -> None:
    reads: list[str] = []

    def newest() -> int:
        reads.append("newest")
        return 0

    async def story() -> None:
        world.tailer._feed = Feed(newest=newest, after=lambda after, limit: [])
        await world.happens("submitted")
        assert reads == []
        with world.tailer.listening(world.job.ulid):
            await world.is_read()
        assert reads == ["newest"]

    world.play(story)


def test_a_client_too_slow_is_let_go_with_what_it_has() -> None:
    async def story() -> None:
        listener = Listener()
        for seq in range(tailing.QUEUE_SIZE + 1):
            listener.offer(Notice.of(event(seq)))
        assert listener.ended
        received = 0
        while await listener.next(60) is not None:
            received += 1
        assert received == tailing.QUEUE_SIZE

    asyncio.run(story())


def test_a_client_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_stream, "STALL_SECONDS", 0.01)
    ended = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"piece"
        finally:
            ended.append(True)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def play() -> None:
        content = pieces()
        await PatientStream(content)({"type": "http"}, receive, send)
        await content.aclose()

    asyncio.run(asyncio.wait_for(play(), 60))
    assert ended == [True]


def test_a_mistake_while_events_are_read_is_logged_and_reading_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailing, "POLL_SECONDS", 0.001)
    answers = [KeyError("a mistake of ours"), 1]

    def newest() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def play() -> None:
        tailer = Tailer(Feed(newest=newest, after=lambda *_: []))
        tail = asyncio.create_task(tailer.tail())
        with tailer.listening("job_1"):
            await asyncio.wait_for(tailer.reading.wait(), 60)
        tail.cancel()

    asyncio.run(play())
    assert "a mistake of ours" in caplog.text
