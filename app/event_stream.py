"""A job's events as Server-Sent Events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from app.patient_stream import PatientStream
from app.tailer import Listener, Notice, Tailer
from tuner.errors import JobNotFound, StoreUnavailable
from tuner.service import Service
from tuner.states import JOB_NEXT, JobState

KEEP_ALIVE_SECONDS: Final = 15.0
#: Until the database is asked again that has not answered.
RETRY_SECONDS: Final = 1.0
START_SECONDS: Final = 5.0
#: Stored events read at once; a client that stalls amid them keeps so many in memory.
STORED_PAGE: Final = 16
_LAST_KINDS: Final = frozenset(state.value for state, nexts in JOB_NEXT.items() if not nexts)


class EventStream(PatientStream):
    """Events, as browsers and proxies want to be sent them."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        # The second header asks nginx not to hold events back.
        super().__init__(frames, headers={"cache-control": "no-store", "x-accel-buffering": "no"})


def is_final(state: JobState) -> bool:
    """Whether no event follows, unless the job is extended."""
    return not JOB_NEXT[state]


async def frames_of(job: str, after: int, service: Service, tailer: Tailer) -> AsyncIterator[bytes]:
    """The events of `job` after number `after`, as they come, until the job's last one.

    The stored events come first; then the tailer's. A gap between them is read from the store.
    """
    yield b"retry: 2000\n\n"
    with tailer.listening(job) as listener:
        with suppress(TimeoutError):
            await asyncio.wait_for(tailer.reading.wait(), START_SECONDS)
        while True:
            patience = KEEP_ALIVE_SECONDS
            try:
                # The state first: when it is final by then, what is read next is all there is.
                final = is_final((await run_sync(service.job, job, limiter=tailer.readers)).state)
                async for notice in _stored(job, after, service, tailer.readers):
                    after = notice.seq
                    yield notice.frame
            except StoreUnavailable:
                final, patience = False, RETRY_SECONDS
            except JobNotFound:
                return
            if final or listener.ended:
                return
            async for notice in _delivered(listener, after, patience):
                after = notice.seq
                yield notice.frame
            yield b": keep-alive\n\n"


async def _stored(
    job: str, after: int, service: Service, readers: CapacityLimiter
) -> AsyncIterator[Notice]:
    while page := await run_sync(_page, job, after, service, limiter=readers):
        after = page[-1].seq
        page.reverse()
        while page:  # a client that stalls keeps what it has not been sent, and nothing else
            yield page.pop()


def _page(job: str, after: int, service: Service) -> list[Notice]:
    """As they go over the wire: events as objects take a multiple of it."""
    return [Notice.of(event) for event in service.events(job, after, STORED_PAGE)]


async def _delivered(listener: Listener, after: int, patience: float) -> AsyncIterator[Notice]:
    """What the tailer brings, until a silence, a gap, the job's last event or the end."""
    while notice := await listener.next(patience):
        if notice.seq > after + 1:
            return
        if notice.seq == after + 1:
            after = notice.seq
            yield notice
        if notice.kind in _LAST_KINDS:
            return
