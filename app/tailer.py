"""One reader of new events for all clients of this process."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Self

from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool

from tuner.errors import StoreUnavailable
from tuner.views import EventView

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.2
MAX_BACK_OFF_SECONDS: Final = 5.0
PAGE: Final = 500
#: Threads that read stored events for clients; however many these are, requests have the others.
READERS: Final = 4
#: Events that may wait for one client; one that falls further behind is let go and resumes.
QUEUE_SIZE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Where new events come from; both functions may block and are called on a thread."""

    #: The id of the newest event of any job.
    newest: Callable[[], int]
    #: Events after an id, oldest first: (id, job, event).
    after: Callable[[int, int], Sequence[tuple[int, str, EventView]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An event as it goes over the wire, made once for all who listen."""

    seq: int
    kind: str
    #: Its ``id`` is what Last-Event-ID gives back.
    frame: bytes

    @classmethod
    def of(cls, event: EventView) -> Self:
        """The notice of an event."""
        data = event.__pydantic_serializer__.to_json(event)
        frame = b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.kind.encode(), data)
        return cls(seq=event.seq, kind=event.kind, frame=frame)


class Listener:
    """One client's place in the stream of one job's events."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Notice | None] = asyncio.Queue(QUEUE_SIZE)
        #: The client fell behind, or the server goes down: nothing more will come.
        self.ended = False

    async def next(self, patience_seconds: float) -> Notice | None:
        """The next event; None after `patience_seconds` without one, and at the end."""
        if self.ended and self._waiting.empty():
            return None
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._waiting.get(), patience_seconds)
        return None

    def offer(self, notice: Notice) -> None:
        """Queue an event; a full queue ends the stream instead of growing."""
        try:
            self._waiting.put_nowait(notice)
        except asyncio.QueueFull:
            self.ended = True

    def end(self) -> None:
        """Let the client go once it has what is queued."""
        self.ended = True
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(None)


class Tailer:
    """Reads each new event once and hands it to everyone who listens to its job.

    Belongs to the event loop that calls `tail`; reads nothing while nobody listens.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._wanted = asyncio.Event()
        self.readers = CapacityLimiter(READERS)
        #: Set while every event from now on will be delivered.
        self.reading = asyncio.Event()
        #: Set when the server goes down: every stream ends.
        self.closing = asyncio.Event()

    @contextmanager
    def listening(self, job: str) -> Iterator[Listener]:
        """A place in the stream of a job's events, from the moment `reading` is set."""
        listener = Listener()
        self._listeners[job].add(listener)
        self._wanted.set()
        if self.closing.is_set():
            listener.end()
        try:
            yield listener
        finally:
            self._remove(job, listener)

    def close(self) -> None:
        """End all streams; call on the event loop."""
        self.closing.set()
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end()

    async def tail(self) -> None:
        """Read on until cancelled."""
        position: int | None = None
        pause = POLL_SECONDS
        while True:
            if not self._wanted.is_set():
                # By the time somebody listens again the position would be far behind.
                position = None
                self.reading.clear()
                await self._wanted.wait()
            try:
                position = await self._read_on(position)
                self.reading.set()
                pause = POLL_SECONDS
            except StoreUnavailable as error:
                pause = min(2 * pause, MAX_BACK_OFF_SECONDS)
                log.warning("events not read", extra={"error": str(error), "pause": pause})
            except Exception:  # a fault of ours: clients wait for what may be readable next time
                pause = min(2 * pause, MAX_BACK_OFF_SECONDS)
                log.exception("events not read", extra={"pause": pause})
            await asyncio.sleep(pause)

    async def _read_on(self, position: int | None) -> int:
        if position is None:
            return await run_in_threadpool(self._feed.newest)
        while page := await run_in_threadpool(self._feed.after, position, PAGE):
            for _, job, event in page:
                self._deliver(job, event)
            position = page[-1][0]
            if len(page) < PAGE:
                break
        return position

    def _deliver(self, job: str, event: EventView) -> None:
        listeners = [one for one in self._listeners.get(job, ()) if not one.ended]
        if listeners:
            notice = Notice.of(event)
            for listener in listeners:
                listener.offer(notice)

    def _remove(self, job: str, listener: Listener) -> None:
        self._listeners[job].discard(listener)
        if not self._listeners[job]:
            del self._listeners[job]
        if not self._listeners:
            self._wanted.clear()
