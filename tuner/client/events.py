"""A job's events as one unbroken stream over connections that may break."""

from collections.abc import Iterator
from typing import Final

import httpx2
from pydantic import ValidationError

from tuner.client.transport import (
    AnswerNotUnderstood,
    ApiError,
    ServerUnreachable,
    Transport,
    pauses,
)
from tuner.states import LIVE_JOBS
from tuner.views import EventView, JobView

#: The server sends a comment every 15 s; silence of three of them is a dead connection.
SILENCE_S: Final = 45.0
#: Tries in a row without a single event before the server counts as gone: about 40 s.
PATIENCE: Final = 24
LAST_EVENTS: Final = frozenset({"succeeded", "failed", "cancelled"})


def job_events(http: Transport, job_path: str, after: int) -> Iterator[EventView]:
    """Events with numbers above `after`, in order, until the job is finished.

    Raises:
        ApiError: the server refused; a refusal of the 5xx kind only after repeated tries.
        ServerUnreachable: it stayed away.
    """
    waits = pauses(PATIENCE)
    while True:
        last: EventView | None = None
        broken: ServerUnreachable | ApiError | None = None
        try:
            for last in _one_connection(http, job_path, after):
                after = last.seq
                yield last
        except (ServerUnreachable, ApiError) as error:
            if isinstance(error, ApiError) and error.status < 500:
                raise
            broken = error
        if broken is None and _is_over(http, job_path, last):
            return
        if last is not None:
            waits = pauses(PATIENCE)
        pause_s = next(waits)
        if pause_s is None:
            raise broken or ServerUnreachable(http.url, "the event stream ends again and again")
        http.sleep(pause_s)


def _one_connection(http: Transport, job_path: str, after: int) -> Iterator[EventView]:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    path = f"{job_path}/events"
    with http.stream(path, timeout_s=SILENCE_S, headers=headers) as response:
        if response.status_code == httpx2.codes.NO_CONTENT:
            return
        for message in httpx2.EventSource(response):
            if not message.data:
                continue
            try:
                event = EventView.model_validate_json(message.data)
            except ValidationError as error:
                raise AnswerNotUnderstood(str(response.url), "no event of a job") from error
            # A server may repeat what was under way when the connection was made.
            if event.seq > after:
                after = event.seq
                yield event


def _is_over(http: Transport, job_path: str, last: EventView | None) -> bool:
    """Whether an orderly end means that nothing more will come.

    A server also ends the stream of a reader too slow for it: then there is more to read.
    """
    if last is not None:
        return last.kind in LAST_EVENTS
    return http.get(job_path, JobView).state not in LIVE_JOBS
