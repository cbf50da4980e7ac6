"""How answers leave: views as JSON, and what the OpenAPI document says of their failures."""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import orjson
from fastapi import Response
from fastapi.responses import FileResponse
from pydantic import BaseModel

from tuner.errors import ArtifactNotFound
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


def file_answer(path: Path, media_type: str, name: str) -> FileResponse:
    """The file at `path`, whole or in part as the client asks, to be saved as `name`.

    Raises:
        ArtifactNotFound: it is gone; others may remove it at any time.
    """
    try:
        facts = path.stat()
    except FileNotFoundError as error:
        raise ArtifactNotFound(f"file {name}") from error
    return FileResponse(path, media_type=media_type, filename=name, stat_result=facts)


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
