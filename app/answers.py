"""How answers leave: views as JSON, and what the OpenAPI document says of their failures."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import Response
from pydantic import BaseModel

from tuner.views import Problem

_PROBLEM: Final = {"$ref": f"#/components/schemas/{Problem.__name__}"}


def answer(
    view: BaseModel | Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """`view`, or the fields of one, as JSON.

    Routes return this instead of the view itself: FastAPI would validate the view a second time,
    on a second thread. Their ``response_model`` only documents it.
    """
    if isinstance(view, BaseModel):
        body = view.__pydantic_serializer__.to_json(view)
    else:
        body = orjson.dumps(view, option=orjson.OPT_UTC_Z)
    return Response(body, status, headers, media_type="application/json")


def responses(
    *failures: int, also: Mapping[int, Mapping[str, Any]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of an operation: the problems it may answer, and what else is to say.

    Every operation that asks the database may find it away.
    """
    documented: dict[int | str, dict[str, Any]] = {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": _PROBLEM}},
        }
        for status in (*failures, 503)
    }
    return {status: dict(entry) for status, entry in (also or {}).items()} | documented
