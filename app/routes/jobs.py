"""Jobs: submit, list, look, change, end."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from app.answers import answer, responses
from app.deps import BodyDep, IdempotencyKey, JobId, PageSize, PageToken, ServiceDep
from app.openapi import PATCH_BODY, SPEC_BODY, header, reference
from tuner.states import JobState
from tuner.views import JobDetail, JobPage, JobView

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_ACCEPTED: Final = {202: reference("Accepted", "Recorded; no scheduler has applied it yet.")}


def version_tag(version: int) -> str:
    """The ETag of a job; weak, because the time that passes is no new version."""
    return f'W/"{version}"'


@router.post(
    "",
    operation_id="submit_job",
    status_code=202,
    response_model=JobView,
    openapi_extra=SPEC_BODY,
    responses=responses(
        409, 413, 415, 422, 507, also={200: reference("Resolved", "What would be submitted.")}
    ),
)
def submit(
    body: BodyDep,
    service: ServiceDep,
    idempotency_key: IdempotencyKey = None,
    validate_only: Annotated[bool, Query(description="Check and resolve, but submit not.")] = False,
) -> Response:
    """Submit a job, or learn what it would become."""
    if validate_only:
        return answer(service.validate(body.document()))
    job, _ = service.submit(body.document(), idempotency_key=idempotency_key)
    return answer(job, 202, {"location": f"/v1/jobs/{job.id}", "retry-after": "1"})


@router.get("", operation_id="list_jobs", response_model=JobPage, responses=responses(422))
def listing(
    service: ServiceDep,
    state: JobState | None = None,
    label: Annotated[
        str | None,
        Query(max_length=401, pattern=r"^[^\x00]+$", description="`name` or `name=value`."),
    ] = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Response:
    """Jobs, newest first."""
    page = service.jobs(state=state, label=label, page_size=page_size, page_token=page_token)
    return answer(page)


@router.get(
    "/{job}",
    operation_id="show_job",
    response_model=JobDetail,
    openapi_extra={"parameters": [header("If-None-Match", "An ETag seen before.")]},
    responses=responses(
        404, also={304: {"description": "Unchanged since the version in If-None-Match."}}
    ),
)
def show(job: JobId, service: ServiceDep, request: Request) -> Response:
    """A job with its counts, its best trial, its progress and its spec."""
    if seen := request.headers.get("if-none-match"):
        tag = version_tag(service.job_version(job))
        if tag in seen.split(", "):
            return Response(status_code=304, headers={"etag": tag})
    detail, version = service.job_facts(job)
    return answer(detail, headers={"etag": version_tag(version), "cache-control": "no-cache"})


@router.patch(
    "/{job}",
    operation_id="patch_job",
    response_model=JobView,
    openapi_extra=PATCH_BODY,
    responses=responses(404, 409, 413, 415, 422, also=_ACCEPTED),
)
def patch(job: JobId, body: BodyDep, service: ServiceDep) -> Response:
    """Change budget, parallel, priority or labels; more budget lets a finished job go on."""
    return answer(service.patch(job, body.document()))


@router.post(
    "/{job}/pause",
    operation_id="pause_job",
    status_code=202,
    response_model=JobView,
    responses=responses(404, 409),
)
def pause(job: JobId, service: ServiceDep) -> Response:
    """Start no more trials; those under way end."""
    return answer(service.pause(job), 202)


@router.post(
    "/{job}/resume",
    operation_id="resume_job",
    status_code=202,
    response_model=JobView,
    responses=responses(404, 409),
)
def resume(job: JobId, service: ServiceDep) -> Response:
    """Go on with a paused job."""
    return answer(service.resume(job), 202)


@router.post(
    "/{job}/cancel",
    operation_id="cancel_job",
    status_code=202,
    response_model=JobView,
    responses=responses(404, 409),
)
def cancel(job: JobId, service: ServiceDep) -> Response:
    """Stop a job for good; its results so far stay."""
    return answer(service.cancel(job), 202)


@router.delete(
    "/{job}",
    operation_id="delete_job",
    status_code=204,
    response_class=Response,
    responses=responses(404, 409, also=_ACCEPTED),
)
def delete(job: JobId, service: ServiceDep) -> Response:
    """Delete a finished job and its files."""
    service.delete(job)
    return Response(status_code=204)
