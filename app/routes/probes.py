"""A job's probes: the attempts before its first trial."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Response

from app.answers import answer, responses
from app.deps import MAX_BIG_INTEGER, JobId, ServiceDep
from app.log_stream import log_answer
from app.routes.trials import LOG_RESPONSES
from tuner.views import AttemptList
from tuner.workers.logs import read

router = APIRouter(prefix="/v1/jobs/{job}/probes", tags=["jobs"])


@router.get(
    "", operation_id="list_probes", response_model=AttemptList, responses=responses(404, 422)
)
def listing(job: JobId, service: ServiceDep) -> Response:
    """The job's probes, first to last, each with the reason of its end; all but one have failed."""
    return answer(service.probes(job))


@router.get(
    "/{attempt}/logs",
    operation_id="show_probe_log",
    response_class=Response,
    responses=LOG_RESPONSES,
)
def logs(
    job: JobId,
    attempt: Annotated[int, Path(ge=1, le=MAX_BIG_INTEGER, description="The id of a probe.")],
    service: ServiceDep,
    wanted: Annotated[str | None, Header(alias="range")] = None,
) -> Response:
    """What a probe wrote to its standard output and error."""
    return log_answer(read(service.probe_log_path(job, attempt)).data, wanted)
