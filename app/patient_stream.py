"""Answers that are sent piece by piece, to clients that may stop reading."""

import asyncio
from contextlib import suppress
from typing import Final

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

#: A client that takes nothing for so long is let go.
STALL_SECONDS: Final = 30.0


class PatientStream(StreamingResponse):
    """An answer that may be endless, and gives up on a client which no longer reads."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patient(message: Message) -> None:
            async with asyncio.timeout(STALL_SECONDS):
                await send(message)

        with suppress(TimeoutError):
            await super().__call__(scope, receive, patient)
