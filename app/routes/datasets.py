"""Data sets: those there are, and those that come in.

Uploads use the fields of the IETF's draft "Resumable Uploads for HTTP" (draft-ietf-httpbis-
resumable-upload): Upload-Complete, Upload-Length, Upload-Offset. The length is always announced, so
that the last byte completes an upload, whatever its request says.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.answers import answer, responses
from app.deps import MAX_BIG_INTEGER, ServiceDep
from app.openapi import FILE_BODY, reference
from app.uploading import INCOMPLETE, append_body, begun, progress, stored, take_whole
from tuner.dataset_views import DatasetList, UploadedData
from tuner.errors import UploadRefused

router = APIRouter(prefix="/v1", tags=["data"])

_NAME: Final = "Letters, digits and `_ - .`; specs name the data by it."
Name = Annotated[str, Path(description="The name of an uploaded data set.")]
Upload = Annotated[str, Path(description="The id of an upload.")]
_PROGRESS: Final = {"description": "Upload-Offset tells how many bytes are here."}


@router.get(
    "/datasets", operation_id="list_datasets", response_model=DatasetList, responses=responses()
)
def listing(service: ServiceDep) -> Response:
    """The catalogue's data sets, then the uploaded ones, which have `uploaded` set."""
    return answer(service.datasets())


@router.post(
    "/datasets",
    operation_id="add_data",
    status_code=201,
    response_class=Response,
    openapi_extra={"requestBody": FILE_BODY},
    responses=responses(
        409,
        413,
        422,
        507,
        also={
            200: reference("UploadedData", "The data set has this very file already."),
            201: {
                "description": "The data set with the file, or the upload that has begun.",
                "content": {
                    "application/json": {
                        "schema": {
                            "anyOf": [
                                {"$ref": "#/components/schemas/UploadedData"},
                                {"$ref": "#/components/schemas/UploadView"},
                            ]
                        }
                    }
                },
            },
        },
    ),
)
async def add(
    request: Request,
    service: ServiceDep,
    name: Annotated[str, Query(description=_NAME)],
    filename: Annotated[str, Query(description="The file's name within the data set.")],
    sha256: Annotated[
        str | None, Query(description="The file's SHA-256, in hexadecimal digits.")
    ] = None,
    upload_complete: Annotated[
        str | None, Header(description="`?0`: the file follows by PATCH, in pieces.")
    ] = None,
    upload_length: Annotated[
        int | None, Header(ge=0, le=MAX_BIG_INTEGER, description="With `?0`: the file's bytes.")
    ] = None,
) -> Response:
    """Add a file to a data set: as the body, or with `Upload-Complete: ?0` in resumable pieces.

    The file is there when it is whole and its checksum right, and not before. To begin the same
    upload again is to go on with it.
    """
    in_pieces = upload_complete == INCOMPLETE
    if in_pieces and (upload_length is None or sha256 is None):
        raise UploadRefused("An upload in pieces announces `Upload-Length` and `sha256`.")
    length = upload_length if in_pieces else None
    found = await run_in_threadpool(
        service.begin_upload, name, filename, length=length, sha256=sha256
    )
    if isinstance(found, UploadedData):
        return stored(found, 200)
    return begun(found) if in_pieces else await take_whole(request, service, found)


@router.get(
    "/datasets/{name}",
    operation_id="show_dataset",
    response_model=UploadedData,
    responses=responses(404),
)
def show(name: Name, service: ServiceDep) -> Response:
    """An uploaded data set with its files and their checksums."""
    return answer(service.dataset(name))


@router.delete(
    "/datasets/{name}",
    operation_id="delete_dataset",
    status_code=204,
    response_class=Response,
    responses=responses(404, 409),
)
def delete(name: Name, service: ServiceDep) -> Response:
    """Delete an uploaded data set, unless a job that is not finished reads it."""
    service.delete_dataset(name)
    return Response(status_code=204)


@router.head(
    "/uploads/{upload}",
    operation_id="show_upload",
    status_code=204,
    response_class=Response,
    responses=responses(404, also={204: _PROGRESS}),
)
def show_upload(upload: Upload, service: ServiceDep) -> Response:
    """How far an upload is."""
    found = service.upload(upload)
    return Response(status_code=204, headers=progress(found.offset, found.length))


@router.patch(
    "/uploads/{upload}",
    operation_id="continue_upload",
    response_model=UploadedData,
    openapi_extra={"requestBody": FILE_BODY},
    responses=responses(404, 409, 413, 422, 507, also={204: _PROGRESS}),
)
async def go_on(
    upload: Upload,
    request: Request,
    service: ServiceDep,
    upload_offset: Annotated[
        int, Header(ge=0, le=MAX_BIG_INTEGER, description="How many bytes came before these.")
    ],
) -> Response:
    """Send more of a file; the last byte makes it part of its data set."""
    announced = (await run_in_threadpool(service.upload, upload)).length
    offset = await append_body(request, service, upload, upload_offset)
    if offset != announced:
        return Response(status_code=204, headers=progress(offset, announced))
    data, _ = await run_in_threadpool(service.finish_upload, upload)
    return stored(data, 200)


@router.delete(
    "/uploads/{upload}",
    operation_id="drop_upload",
    status_code=204,
    response_class=Response,
    responses=responses(404),
)
def drop(upload: Upload, service: ServiceDep) -> Response:
    """Give an upload up."""
    service.upload(upload)
    service.drop_upload(upload)
    return Response(status_code=204)
