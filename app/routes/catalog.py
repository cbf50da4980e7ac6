"""What a spec may name."""

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, Response

from app.answers import answer
from app.deps import ServiceDep
from tuner.catalog_views import CatalogList
from tuner.service import Service

router = APIRouter(prefix="/v1", tags=["catalogue"])

KINDS: Final = {
    "models": "Networks, each with its hyperparameters and their default ranges.",
    "losses": "Losses, each with the metric it is judged by.",
    "optimizers": "Optimizers, each with its hyperparameters and their default ranges.",
    "augmentations": "Ways to alter training examples, each with its strength's default range.",
    "preparations": "What may stand in front of a network, each with its hyperparameters.",
    "samplers": "Ways to find the next configuration.",
    "pruners": "Ways to give up hopeless trials early.",
}


def _listing_of(kind: str) -> Callable[[Service], Response]:
    def listing(service: ServiceDep) -> Response:
        return answer(service.catalogue(kind))

    return listing


for _kind, _description in KINDS.items():
    router.add_api_route(
        f"/{_kind}",
        _listing_of(_kind),
        operation_id=f"list_{_kind}",
        summary=f"List {_kind}",
        description=_description,
        response_model=CatalogList,
    )
