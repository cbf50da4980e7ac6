"""Trials: list, enqueue, look into one."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Header, Query, Response

from app.answers import answer, responses
from app.deps import (
    MAX_BIG_INTEGER,
    BodyDep,
    JobId,
    Number,
    PageSize,
    PageToken,
    ServiceDep,
    TailerDep,
)
from app.log_stream import MEDIA_TYPE, attempt_of, follow, is_over, log_answer
from app.openapi import ENQUEUE_BODY, reference
from app.patient_stream import PatientStream
from app.schemas import Enqueue
from tuner.parts import parse_part
from tuner.states import TrialState
from tuner.views import AttemptList, Curves, TrialPage, TrialView
from tuner.workers.logs import read

router = APIRouter(prefix="/v1/jobs/{job}/trials", tags=["trials"])

LOG_RESPONSES: Final = responses(
    404,
    416,
    422,
    also={
        200: {"description": "The log.", "content": {"text/plain": {}}},
        206: {"description": "The part asked for by Range.", "content": {"text/plain": {}}},
    },
)


@router.get("", operation_id="list_trials", response_model=TrialPage, responses=responses(404, 422))
def listing(
    job: JobId,
    service: ServiceDep,
    state: TrialState | None = None,
    sort: Annotated[
        Literal["number", "-number", "value", "-value"],
        Query(description="By value, only trials that have one are listed."),
    ] = "number",
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Response:
    """The trials of a job."""
    page = service.trials_facts(
        job, state=state, sort=sort, page_size=page_size, page_token=page_token
    )
    return answer(page)


@router.post(
    "",
    operation_id="enqueue_trial",
    status_code=201,
    response_model=TrialView,
    openapi_extra=ENQUEUE_BODY,
    responses=responses(
        404,
        409,
        413,
        415,
        422,
        also={202: reference("Accepted", "Recorded; no scheduler has applied it yet.")},
    ),
)
def enqueue(job: JobId, body: BodyDep, service: ServiceDep) -> Response:
    """Try given parameters next; what is left out takes its default."""
    wish: Enqueue = parse_part(Enqueue, body.document())
    trial = service.enqueue(job, wish.params)
    return answer(trial, 201, {"location": f"/v1/jobs/{job}/trials/{trial.number}"})


@router.get(
    "/{number}", operation_id="show_trial", response_model=TrialView, responses=responses(404, 422)
)
def show(job: JobId, number: Number, service: ServiceDep) -> Response:
    """One configuration and how it went."""
    return answer(service.trial(job, number))


@router.get(
    "/{number}/attempts",
    operation_id="list_attempts",
    response_model=AttemptList,
    responses=responses(404, 422),
)
def attempts(job: JobId, number: Number, service: ServiceDep) -> Response:
    """All attempts of a trial, first to last, each with the reason of its end."""
    return answer(service.attempts(job, number))


@router.get(
    "/{number}/metrics",
    operation_id="show_curves",
    response_model=Curves,
    responses=responses(404, 422),
)
def metrics(job: JobId, number: Number, service: ServiceDep) -> Response:
    """The learning curves: all metrics of every epoch."""
    return answer(service.curves(job, number))


@router.get(
    "/{number}/logs",
    operation_id="show_log",
    response_class=Response,
    responses=LOG_RESPONSES,
)
def logs(
    job: JobId,
    number: Number,
    service: ServiceDep,
    tailer: TailerDep,
    attempt: Annotated[
        int | None,
        Query(ge=1, le=MAX_BIG_INTEGER, description="The id of an attempt; by default the newest."),
    ] = None,
    stream: Annotated[
        bool, Query(alias="follow", description="Go on until the attempt has ended.")
    ] = False,
    wanted: Annotated[str | None, Header(alias="range")] = None,
) -> Response:
    """What an attempt wrote to its standard output and error."""
    if not stream:
        return log_answer(read(service.log_path(job, number, attempt)).data, wanted)
    found = attempt_of(service.attempts(job, number), attempt, trial=number).id
    path = service.log_path(job, number, found)

    def has_ended() -> bool:
        return is_over(attempt_of(service.attempts(job, number), found, trial=number))

    return PatientStream(follow(path, has_ended, tailer.closing), media_type=MEDIA_TYPE)
