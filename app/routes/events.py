"""What happens to a job, as it happens."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from app.answers import responses
from app.deps import MAX_INTEGER, JobId, ServiceDep, TailerDep
from app.event_stream import EventStream, frames_of, is_final
from app.openapi import SERVER_SENT_EVENT

router = APIRouter(prefix="/v1/jobs/{job}", tags=["jobs"])


@router.get(
    "/events",
    operation_id="watch_job",
    response_class=Response,
    responses=responses(
        404,
        422,
        also={
            200: {
                "description": "The stream; each `data` is an EventView.",
                "content": {EventStream.media_type: {"schema": SERVER_SENT_EVENT}},
            },
            204: {"description": "The job is finished and has no later event."},
        },
    ),
)
async def events(
    job: JobId,
    service: ServiceDep,
    tailer: TailerDep,
    after: Annotated[
        int, Query(ge=0, le=MAX_INTEGER, description="The number of the last event known.")
    ] = 0,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=MAX_INTEGER, description="As `after`; browsers send it by themselves."),
    ] = None,
) -> Response:
    """Events as they happen (Server-Sent Events), until the job is finished.

    The `data` of each is an event as JSON, its `id` the number to resume after. A reader too slow
    for the stream is let go and may resume.
    """
    start = after if last_event_id is None else last_event_id
    state = (await run_in_threadpool(service.job, job)).state
    if is_final(state) and not await run_in_threadpool(service.events, job, start, 1):
        # 204 is how a browser's EventSource learns that it need not come back.
        return Response(status_code=204, media_type=EventStream.media_type)
    return EventStream(frames_of(job, start, service, tailer))
