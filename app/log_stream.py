"""The log of an attempt: whole, in part, or as it grows."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from fastapi import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from tuner.errors import ArtifactNotFound, JobNotFound, StoreUnavailable
from tuner.states import AttemptState
from tuner.views import AttemptList, AttemptView
from tuner.workers.logs import read

MEDIA_TYPE: Final = "text/plain; charset=utf-8"
POLL_SECONDS: Final = 0.25
CHUNK_BYTES: Final = 64 * 1024
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def attempt_of(attempts: AttemptList, wanted: int | None, *, trial: int) -> AttemptView:
    """The attempt with this id, or the newest.

    Raises:
        ArtifactNotFound: the trial has no such attempt.
    """
    for attempt in reversed(attempts.attempts):
        if wanted in (None, attempt.id):
            return attempt
    which = "attempt" if wanted is None else f"attempt {wanted}"
    raise ArtifactNotFound(f"log: trial {trial} has no {which} yet")


def log_answer(content: bytes, wanted: str | None) -> Response:
    """A log, or the part of it that a Range header asks for.

    Raises:
        HTTPException: 416, nothing of the log lies in the range.
    """
    headers = {"accept-ranges": "bytes"}
    span = _span(wanted, len(content))
    if span is None:
        return Response(content, 200, headers, MEDIA_TYPE)
    headers["content-range"] = f"bytes {span.start}-{span.stop - 1}/{len(content)}"
    return Response(content[span.start : span.stop], 206, headers, MEDIA_TYPE)


def _span(wanted: str | None, size: int) -> range | None:
    """The bytes of a single range; None for all, also where the header is none we know."""
    match = _RANGE.fullmatch(wanted or "")
    if match is None or match.group(1, 2) == ("", ""):
        return None
    first, last = match.group(1, 2)
    if first:
        span = range(int(first), min(int(last) + 1 if last else size, size))
        if last and int(last) < int(first):
            return None
    else:
        span = range(max(0, size - int(last)), size)
    if not span:
        raise HTTPException(416, "Nothing in this range.", {"content-range": f"bytes */{size}"})
    return span


async def follow(
    path: Path, has_ended: Callable[[], bool], closing: asyncio.Event
) -> AsyncIterator[bytes]:
    """The log as it grows, until its attempt has ended or the server goes down."""
    offset = 0
    while True:
        # Asked before reading: what is read after the end is all there is.
        over = await run_in_threadpool(_asked, has_ended) or closing.is_set()
        page = await run_in_threadpool(read, path, offset, CHUNK_BYTES)
        offset = page.next_offset
        if page.data:
            yield page.data
        elif over:
            return
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(closing.wait(), POLL_SECONDS)


def _asked(has_ended: Callable[[], bool]) -> bool:
    """The answer; while the database is away the log is followed on, and with its job it ends."""
    try:
        return has_ended()
    except StoreUnavailable:
        return False
    except JobNotFound:
        return True


def is_over(attempt: AttemptView) -> bool:
    """Whether nothing more will be written to its log."""
    return attempt.state is not AttemptState.RUNNING
