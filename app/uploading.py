"""Files that come in: the bytes of a request go to the disk as they arrive, never all at once."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.answers import answer
from tuner.dataset_views import UploadedData, UploadView
from tuner.service import Service

#: Of a POST: its body is not the file, which follows by PATCH.
INCOMPLETE: Final = "?0"
#: Written at a time: a request's body comes in parts of 64 KiB, each of which would take a thread.
PIECE_BYTES: Final = 1024 * 1024


async def append_body(request: Request, service: Service, upload: str, offset: int) -> int:
    """Add the request's body to the upload; how many bytes it has then.

    What arrives before the client is gone stays.
    """
    async for piece in pieces_of(request):
        offset = await run_in_threadpool(service.append_upload, upload, offset, piece)
    return offset


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """The body in large pieces; the last, which may be empty, also where the client is gone."""
    held = bytearray()
    try:
        async for part in request.stream():
            held += part
            if len(held) >= PIECE_BYTES:
                yield bytes(held)
                held.clear()
    except ClientDisconnect:
        yield bytes(held)
        raise
    # Also an empty piece has its offset checked.
    yield bytes(held)


async def take_whole(request: Request, service: Service, upload: UploadView) -> Response:
    """Take the request's body as the whole file; a transfer that breaks leaves nothing."""
    try:
        await append_body(request, service, upload.id, 0)
        data, is_new = await run_in_threadpool(service.finish_upload, upload.id)
    finally:
        await run_in_threadpool(service.drop_upload, upload.id)
    return stored(data, 201 if is_new else 200)


def begun(upload: UploadView) -> Response:
    """Where the file is to be sent, and from which byte on."""
    return answer(upload, 201, {"location": upload.url, **progress(upload.offset, upload.length)})


def stored(data: UploadedData, status: int) -> Response:
    """The data set that has the file."""
    headers = {"location": f"/v1/datasets/{data.name}", "upload-complete": "?1"}
    return answer(data, status, headers)


def progress(offset: int, length: int | None) -> dict[str, str]:
    """How far an upload is, as headers say it."""
    headers = {"upload-offset": str(offset), "upload-complete": "?0", "cache-control": "no-store"}
    return headers | ({} if length is None else {"upload-length": str(length)})
