"""Code of jobs: folders named by their content, sent before the job that runs them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from app.answers import answer, responses
from app.deps import ServiceDep
from app.openapi import FILE_BODY, reference
from app.uploading import pieces_of
from tuner.foreign.views import CodeList, CodeView

router = APIRouter(prefix="/v1", tags=["code"])

Sha256 = Annotated[str, Path(description="The SHA-256 of the folder's manifest.")]


@router.get("/code", operation_id="list_code", response_model=CodeList, responses=responses())
def listing(service: ServiceDep) -> Response:
    """All code there is, what was used last first."""
    return answer(service.all_code())


@router.get(
    "/code/{sha256}",
    operation_id="show_code",
    response_model=CodeView,
    responses=responses(404),
)
def show(sha256: Sha256, service: ServiceDep) -> Response:
    """A folder of code: its files with their sizes and checksums, and what can be imported."""
    return answer(service.code(sha256))


@router.put(
    "/code/{sha256}",
    operation_id="add_code",
    status_code=201,
    response_model=CodeView,
    openapi_extra={"requestBody": FILE_BODY},
    responses=responses(
        403, 413, 422, 507, also={200: reference("CodeView", "The code is here already.")}
    ),
)
async def add(sha256: Sha256, request: Request, service: ServiceDep) -> Response:
    """Send a folder as a tar file packed by gzip; it is there whole and checked, or not at all."""
    known = await run_in_threadpool(service.known_code, sha256)
    if known is not None:
        return answer(known)
    with await run_in_threadpool(service.begin_archive) as archive:
        async for piece in pieces_of(request):
            await run_in_threadpool(service.append_archive, archive, piece)
        code, is_new = await run_in_threadpool(service.take_code, sha256, archive)
    return answer(code, 201 if is_new else 200, {"location": f"/v1/code/{sha256}"})


@router.delete(
    "/code/{sha256}",
    operation_id="delete_code",
    status_code=204,
    response_class=Response,
    responses=responses(404, 409),
)
def delete(sha256: Sha256, service: ServiceDep) -> Response:
    """Delete a folder of code, unless a job that is not finished runs it."""
    service.delete_code(sha256)
    return Response(status_code=204)
