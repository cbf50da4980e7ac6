"""The OpenAPI document: what FastAPI finds out, and the bodies it is not told of."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app import examples
from app.schemas import Enqueue
from tuner.dataset_views import UploadedData, UploadView
from tuner.foreign.views import CodeView
from tuner.spec import CommandSpec, JobPatch, ObjectiveSpec, TrainingSpec
from tuner.views import Accepted, EventView, Problem, Resolved

SUMMARY: Final = "Automatic hyperparameter tuning for PyTorch."
DESCRIPTION: Final = """\
Submit what to train (`model`, `data`, `loss`, `optimizer`), and the service finds the
hyperparameters. Every answer is JSON, every error `application/problem+json` (RFC 9457) with a hint
at what to do next. Bodies are JSON or YAML.

Start with `POST /v1/jobs`, follow `GET /v1/jobs/{job}/events`, take `GET /v1/jobs/{job}/best`.
"""
TAGS: Final = [
    {"name": "jobs", "description": "Submit tuning jobs, watch, change and end them."},
    {"name": "results", "description": "The best configurations and models, and all data."},
    {"name": "trials", "description": "Single configurations: how they went, and why."},
    {"name": "catalogue", "description": "What a spec may name."},
    {"name": "data", "description": "Data sets: the catalogue's, and those you upload."},
    {"name": "code", "description": "Code that jobs bring, where the server allows it."},
    {"name": "service", "description": "Workers, probes and metrics."},
]
#: Models that stand in the document beside those of FastAPI's own finding.
_EXTRA: Final = (
    TrainingSpec,
    ObjectiveSpec,
    CommandSpec,
    JobPatch,
    Enqueue,
    Problem,
    Accepted,
    Resolved,
    EventView,
    UploadedData,
    UploadView,
    CodeView,
)
_REFERENCE: Final = "#/components/schemas/{model}"
#: One event of a stream.
SERVER_SENT_EVENT: Final = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The event's number."},
        "event": {"type": "string", "description": "Its kind."},
        "data": {"type": "string", "description": "An EventView as JSON."},
        "retry": {"type": "integer", "description": "Milliseconds until a client comes back."},
    },
}


def body(
    models: Sequence[str], json_example: object, yaml_example: str | None = None
) -> dict[str, Any]:
    """The ``openapi_extra`` of a route that reads its body itself."""
    schemas = [{"$ref": _REFERENCE.format(model=model)} for model in models]
    schema: dict[str, Any] = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    content: dict[str, Any] = {"application/json": {"schema": schema, "example": json_example}}
    content["application/yaml"] = {"schema": schema}
    if yaml_example is not None:
        content["application/yaml"]["example"] = yaml_example
    return {"requestBody": {"required": True, "content": content}}


SPEC_BODY: Final = body(
    ("TrainingSpec", "ObjectiveSpec", "CommandSpec"), examples.SMALLEST, examples.FULL_YAML
)
PATCH_BODY: Final = body(("JobPatch",), examples.PATCH)
ENQUEUE_BODY: Final = body(("Enqueue",), examples.ENQUEUE)
#: The ``requestBody`` of a route that takes a file as it comes.
FILE_BODY: Final = {
    "required": False,
    "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
}


def reference(model: str, description: str) -> dict[str, Any]:
    """An entry of ``responses``: JSON of a model that `document` adds."""
    schema = {"$ref": _REFERENCE.format(model=model)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def header(name: str, description: str) -> dict[str, Any]:
    """A header that a route reads itself: FastAPI's own reading of headers takes 50 µs."""
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The document of `app`, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=TAGS,
        )
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        _, extra = models_json_schema(
            [(model, "validation") for model in _EXTRA], ref_template=_REFERENCE
        )
        # FastAPI's own names for its 422 are not how this service answers.
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas.update(extra.get("$defs", {}))
        for operations in made["paths"].values():
            for operation in operations.values():
                _improve(operation)
        made["components"]["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"},
            "password": {"type": "http", "scheme": "basic"},
        }
        made["security"] = [{}, {"token": []}, {"password": []}]
        app.openapi_schema = made
    return app.openapi_schema


def _improve(operation: dict[str, Any]) -> None:
    """Let the first sentence be the summary, and every 422 be the problem that it is."""
    summary, _, rest = operation.get("description", "").partition("\n")
    if summary.endswith("."):
        operation["summary"] = summary.removesuffix(".")
        operation["description"] = rest.strip()
    if "422" in operation["responses"]:
        problem = {"schema": {"$ref": _REFERENCE.format(model="Problem")}}
        operation["responses"]["422"]["content"] = {"application/problem+json": problem}
