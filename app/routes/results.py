"""What came out of a job."""

from pathlib import Path
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from app.answers import answer, file_answer, responses
from app.deps import JobId, ServiceDep
from tuner.views import BestList, Importances

router = APIRouter(prefix="/v1/jobs/{job}", tags=["results"])

ModelFormat = Literal["safetensors", "torch_export", "onnx"]
ExportFormat = Literal["csv", "parquet", "optuna"]
#: Media type and file name by format.
EXPORTS: Final = {
    "csv": ("text/csv; charset=utf-8", "trials.csv"),
    "parquet": ("application/vnd.apache.parquet", "trials.parquet"),
    "optuna": ("application/jsonl", "optuna.journal"),
}
_FILE: Final = {"schema": {"type": "string", "format": "binary"}}


@router.get(
    "/best", operation_id="best_trials", response_model=BestList, responses=responses(404, 409, 422)
)
def best(
    job: JobId,
    service: ServiceDep,
    k: Annotated[int, Query(ge=1, le=500, description="How many.")] = 1,
) -> Response:
    """The best completed trials, best first."""
    return answer(service.best_facts(job, k))


@router.get(
    "/best/model",
    operation_id="best_model",
    response_class=FileResponse,
    responses=responses(
        404,
        409,
        422,
        501,
        also={
            200: {
                "description": "A file; its metadata hold what rebuilds or explains the network.",
                "content": {"application/octet-stream": _FILE},
            }
        },
    ),
)
def best_model(
    job: JobId,
    service: ServiceDep,
    model_format: Annotated[
        ModelFormat,
        Query(
            alias="format",
            description="`safetensors`: the weights; `torch_export`, `onnx`: a program.",
        ),
    ] = "safetensors",
) -> Response:
    """The best trial's trained network."""
    path = service.best_model(job, model_format)
    return file_answer(path, "application/octet-stream", f"{job}{path.suffix}")


@router.get(
    "/best/card",
    operation_id="best_card",
    response_class=Response,
    responses=responses(
        404,
        409,
        also={
            200: {
                "description": "Markdown.",
                "content": {"text/markdown": {"schema": {"type": "string"}}},
            }
        },
    ),
)
def best_card(job: JobId, service: ServiceDep) -> Response:
    """The best trial's network, described: data, search, quality, use, limits."""
    return Response(service.best_card(job), media_type="text/markdown; charset=utf-8")


@router.get(
    "/importances",
    operation_id="importances",
    response_model=Importances,
    responses=responses(404, 409),
)
def importances(job: JobId, service: ServiceDep) -> Response:
    """How much each parameter matters (PED-ANOVA)."""
    return answer(service.importances(job))


@router.get(
    "/export",
    operation_id="export_trials",
    response_class=Response,
    responses=responses(
        404,
        422,
        also={
            200: {
                "description": "A file.",
                "content": {kind.partition(";")[0]: _FILE for kind, _ in EXPORTS.values()},
            }
        },
    ),
)
def export(
    job: JobId,
    service: ServiceDep,
    file_format: Annotated[
        ExportFormat, Query(alias="format", description="`optuna`: a journal file for Optuna.")
    ] = "csv",
) -> Response:
    """All trials of a job as a file."""
    content = service.export(job, file_format)
    media_type, name = EXPORTS[file_format]
    if isinstance(content, Path):
        return file_answer(content, media_type, f"{job}-{name}")
    disposition = f'attachment; filename="{job}-{name}"'
    return Response(content, headers={"content-disposition": disposition}, media_type=media_type)
