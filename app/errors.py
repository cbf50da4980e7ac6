"""Every failure as a problem (RFC 9457); the only place that knows which status an error has."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Mount

from app.answers import answer
from tuner.artifacts.store import ArtifactsUnavailable
from tuner.errors import (
    ArtifactNotFound,
    ChecksumWrong,
    ConversionBusy,
    ConversionFailed,
    DatasetInUse,
    DatasetNotFound,
    DatasetTaken,
    DiskFull,
    DiskLimitReached,
    Fault,
    FormatUnavailable,
    IdempotencyKeyReused,
    JobNotFound,
    NoCompletedTrial,
    PlanningBusy,
    SchedulerBusy,
    SchemaMismatch,
    SpecInvalid,
    StaleRevision,
    StoreUnavailable,
    TransitionRefused,
    TrialNotFound,
    TunerError,
    UploadNotFound,
    UploadOffsetWrong,
    UploadRefused,
    UploadTooLarge,
)
from tuner.foreign.errors import (
    CodeInUse,
    CodeNotAllowed,
    CodeNotFound,
    CodeRefused,
    CodeTooLarge,
)
from tuner.store.unreadable import JobUnreadable
from tuner.views import Accepted, FaultView, Problem

log = logging.getLogger(__name__)

STATUSES: Final[Mapping[type[TunerError], int]] = {
    SpecInvalid: 422,
    JobNotFound: 404,
    TrialNotFound: 404,
    ArtifactNotFound: 404,
    ArtifactsUnavailable: 503,
    NoCompletedTrial: 409,
    JobUnreadable: 409,
    TransitionRefused: 409,
    StaleRevision: 409,
    IdempotencyKeyReused: 409,
    DatasetNotFound: 404,
    UploadNotFound: 404,
    DatasetTaken: 409,
    DatasetInUse: 409,
    UploadOffsetWrong: 409,
    UploadTooLarge: 413,
    UploadRefused: 422,
    ChecksumWrong: 422,
    CodeNotFound: 404,
    CodeInUse: 409,
    CodeNotAllowed: 403,
    CodeRefused: 422,
    CodeTooLarge: 413,
    DiskFull: 507,
    DiskLimitReached: 507,
    FormatUnavailable: 501,
    ConversionBusy: 503,
    ConversionFailed: 500,
    PlanningBusy: 503,
    StoreUnavailable: 503,
    SchemaMismatch: 503,
}

#: Seconds after which a client may try again, by status.
RETRY_AFTER: Final = {202: "1", 503: "2"}
MAX_ERRORS: Final = 100
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def install(app: FastAPI) -> None:
    """Answer all errors of `app` as problems."""
    for kind in (TunerError, HTTPException, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, answer_error)


async def answer_error(request: Request, error: Exception) -> Response:
    """The one error handler."""
    match error:
        case SchedulerBusy():
            return _accepted(error)
        case TunerError() if type(error) in STATUSES:
            return _answer_tuner_error(request, error)
        case RequestValidationError():
            return _answer_invalid_request(request, error)
        case HTTPException(status_code=405):
            return _answer_wrong_method(request)
        case HTTPException(status_code=404):
            return problem(request.scope, status=404, detail="There is nothing at this address.")
        case HTTPException():
            return problem(
                request.scope,
                status=error.status_code,
                detail=str(error.detail),
                headers=error.headers,
            )
        case ClientDisconnect():
            return problem(request.scope, status=400, detail="The request was broken off.")
        case _:
            return _answer_defect(request, error)


def problem(
    scope: Mapping[str, Any],
    *,
    status: int,
    detail: str,
    kind: str = "about:blank",
    title: str | None = None,
    errors: Sequence[FaultView] = (),
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document about the request of `scope`."""
    document = Problem(
        type=kind,
        title=title or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=scope["path"].encode(errors="replace").decode(),
        request_id=request_id_of(scope),
        errors=list(errors),
        hint=hint,
    )
    response = answer(document, status, headers)
    response.headers["content-type"] = "application/problem+json"
    if status in RETRY_AFTER:
        response.headers["retry-after"] = RETRY_AFTER[status]
    return response


def request_id_of(scope: Mapping[str, Any]) -> str:
    """The id the guard gave this request; it stands in the answer's header and in our log."""
    request_id: str = scope.get("state", {}).get("request_id", "")
    return request_id


def slug(kind: type[TunerError]) -> str:
    """The name of an error in a problem's type: ``stale-revision`` of StaleRevision."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in kind.__name__).lstrip("-")


def title(kind: type[TunerError]) -> str:
    """What an error means, in the words of its class."""
    return (kind.__doc__ or kind.__name__).partition("\n")[0].rstrip(".")


def _accepted(error: SchedulerBusy) -> Response:
    body = Accepted(job=error.job, request=error.request, detail=str(error))
    return answer(body, 202, {"retry-after": RETRY_AFTER[202]})


def _answer_tuner_error(request: Request, error: TunerError) -> Response:
    kind = type(error)
    faults = error.faults if isinstance(error, SpecInvalid) else ()
    offset = {"upload-offset": str(error.offset)} if isinstance(error, UploadOffsetWrong) else None
    return problem(
        request.scope,
        status=STATUSES[kind],
        detail=str(error),
        kind=f"/problems#{slug(kind)}",
        title=title(kind),
        errors=[_fault_view(fault) for fault in faults[:MAX_ERRORS]],
        hint=error.hint,
        headers=offset,
    )


def _fault_view(fault: Fault) -> FaultView:
    return FaultView(pointer=fault.pointer, code=fault.code, detail=fault.detail)


def _answer_invalid_request(request: Request, error: RequestValidationError) -> Response:
    faults = [_fault_of(details) for details in error.errors()[:MAX_ERRORS]]
    return problem(
        request.scope,
        status=422,
        detail="; ".join(fault.detail for fault in faults),
        title="The request's parameters are not valid",
        errors=faults,
        hint="The parameters of every route stand in /docs.",
    )


def _fault_of(details: Mapping[str, Any]) -> FaultView:
    name = ".".join(str(part) for part in details["loc"][1:])
    given = repr(details["input"])
    shown = given if len(given) <= 80 else given[:77] + "…"
    message = details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    code = details["type"].replace("_", "-")
    return FaultView(pointer=name, code=code, detail=f"{name} = {shown}: {message}.")


def _answer_wrong_method(request: Request) -> Response:
    """Name all methods of the address; the router names those of its first match only."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    allowed = [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ]
    names = ", ".join(allowed) or "GET"
    detail = f"This address answers {names} only."
    return problem(request.scope, status=405, detail=detail, headers={"allow": names})


def _answer_defect(request: Request, error: Exception) -> Response:
    request_id = request_id_of(request.scope)
    facts = {"request_id": request_id, "path": request.scope["path"]}
    log.error("request failed", exc_info=error, extra=facts)
    return problem(
        request.scope,
        status=500,
        detail="The service has a defect; its log says more under this request's id.",
        # Errors nobody foresaw are answered outside the guard, which sets this header elsewhere.
        headers={"x-request-id": request_id},
    )
