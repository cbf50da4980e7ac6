"""The service itself: workers, probes, metrics, kinds of problems."""

from typing import Final

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app.answers import answer, responses
from app.deps import ServiceDep
from app.errors import STATUSES, slug, title
from app.schemas import Health, ProblemKind, ProblemKinds
from tuner.host_views import HostList

router = APIRouter(tags=["service"])

_ALIVE: Final = Health(status="alive")
_READY: Final = Health(status="ready")


@router.get(
    "/v1/workers", operation_id="list_workers", response_model=HostList, responses=responses()
)
def workers(service: ServiceDep) -> Response:
    """Hosts with their devices, and what is under way on them."""
    return answer(service.hosts())


@router.get("/healthz", operation_id="is_alive", response_model=Health)
async def healthz() -> Response:
    """Whether this process answers at all."""
    return answer(_ALIVE)


@router.get("/readyz", operation_id="is_ready", response_model=Health, responses=responses())
def readyz(service: ServiceDep) -> Response:
    """Whether the database answers and has the schema this version needs."""
    service.ready()
    return answer(_READY)


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses=responses(
        also={200: {"description": "Prometheus text format.", "content": {"text/plain": {}}}}
    ),
)
def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    return Response(
        generate_latest(request.app.state.metrics), headers={"content-type": CONTENT_TYPE_LATEST}
    )


@router.get("/problems", operation_id="list_problems", response_model=ProblemKinds)
async def kinds_of_problems() -> Response:
    """All kinds of errors that a problem's `type` may name."""
    kinds = [
        ProblemKind(
            type=f"/problems#{slug(kind)}", status=status, title=title(kind), hint=kind.hint
        )
        for kind, status in STATUSES.items()
    ]
    return answer(ProblemKinds(problems=kinds))
