"""What routes are given: the service, the parts of the address, and the body."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Header, Path, Query, Request

from app.tailer import Tailer
from tuner.documents import read_document
from tuner.service import Service

MAX_INTEGER: Final = 2**31 - 1
MAX_BIG_INTEGER: Final = 2**63 - 1


# Dependencies are coroutines although they await nothing: FastAPI runs plain functions on a
# thread, which costs more than all they do.
async def service_of(request: Request) -> Service:
    """The one core behind all routes."""
    service: Service = request.app.state.service
    return service


async def tailer_of(request: Request) -> Tailer:
    """The reader of events of this process."""
    tailer: Tailer = request.app.state.tailer
    return tailer


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a client sent, not read yet: reading a large one takes a thread's time."""

    content: bytes
    media_type: str

    def document(self) -> object:
        """The body as plain data.

        Raises:
            SpecInvalid: it is not well-formed.
        """
        return read_document(self.content, self.media_type)


async def body_of(request: Request) -> Body:
    """The whole body; the guard has bounded it and knows its media type."""
    media_type = request.headers.get("content-type", "application/json")
    return Body(content=await request.body(), media_type=media_type)


ServiceDep = Annotated[Service, Depends(service_of)]
TailerDep = Annotated[Tailer, Depends(tailer_of)]
BodyDep = Annotated[Body, Depends(body_of)]
JobId = Annotated[
    str, Path(description="The id of a job.", examples=["job_01K9ZX4T8Q6B2N0M5R7V3W1Y8H"])
]
Number = Annotated[int, Path(ge=0, le=MAX_INTEGER, description="The number of a trial, from 0.")]
PageSize = Annotated[int, Query(ge=1, le=500, description="Entries of one page.")]
PageToken = Annotated[
    str | None,
    Query(max_length=1000, description="The `next_page_token` of the page before."),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text that is new for a new job: one key makes one job, however often "
        "the request is repeated.",
    ),
]
