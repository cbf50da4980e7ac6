"""How the steps of a job's lanes are to be carried out, as its probe finds out."""

from typing import Any

from models.data.loading import Dataset
from models.training.lanes.graph import EAGER, Graph
from models.training.lanes.graph_pays import GraphRefused, Speed, pays, speed, worth_a_try
from tuner.lane_notes import Figures, noted
from tuner.trial_order import Job


def graph_facts(
    job: Job, data: Dataset, *, lanes: int, eager_rate: float | None, device: str
) -> dict[str, Any]:
    """``graph`` for so many lanes, and how that came about.

    ``graph_seconds`` to make it, and ``graph_rows_per_second`` of each way, where they were
    measured, now or for an earlier job of the same signature on such a device; ``eager``, a
    sentence, where they were not. `eager_rate` is that of these lanes, where it is known.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
    """
    if lanes == 1 or job.graph == "eager":
        return {"graph": "eager"}
    try:
        if job.graph != "auto":
            # Tried once for all workers, which then have it in files.
            made = _speed(job, data, lanes, job.graph_as(job.graph), device)
            return _facts(job.graph, {job.graph: made})
        compiled, eager = _compared(job, data, lanes, eager_rate, device)
    except GraphRefused as refused:
        return {"graph": "eager", "eager": str(refused)}
    best = "compile" if pays(_rows(job, data), compiled, eager) else "eager"
    return _facts(best, {"compile": compiled, "eager": eager})


def _facts(graph: str, speeds: dict[str, Speed]) -> dict[str, Any]:
    return {
        "graph": graph,
        "graph_seconds": max(each.seconds for each in speeds.values()),
        "graph_rows_per_second": {name: each.rows_per_second for name, each in speeds.items()},
    }


def _compared(
    job: Job, data: Dataset, lanes: int, eager_rate: float | None, device: str
) -> tuple[Speed, Speed]:
    """Compiled and eagerly: as it is noted, or as it is now, if looking costs little enough."""

    def measure() -> Figures:
        rate = eager_rate or _speed(job, data, lanes, EAGER, device).rows_per_second
        if not worth_a_try(_rows(job, data), rate):
            seconds = _rows(job, data) / rate
            raise GraphRefused(
                f"All steps of the job take some {seconds:.0f} s: too few to try compiling them."
            )
        # Both now: on a host that others use, figures of two minutes are no comparison.
        eager = _speed(job, data, lanes, EAGER, device)
        compiled = _speed(job, data, lanes, job.graph_as("compile"), device)
        return {
            "eager": eager.rows_per_second,
            "compile": compiled.rows_per_second,
            "seconds": compiled.seconds,
        }

    found = noted("graph", measure, job=job, data=data, lanes=lanes, device=device)
    compiled = Speed(seconds=found["seconds"], rows_per_second=found["compile"])
    return compiled, Speed(seconds=0.0, rows_per_second=found["eager"])


def _speed(job: Job, data: Dataset, lanes: int, graph: Graph, device: str) -> Speed:
    return speed(job.recipe, data, lanes=lanes, device=device, graph=graph)


def _rows(job: Job, data: Dataset) -> float:
    """How many rows the job learns from, if no trial ends early."""
    return job.trials * job.recipe.epochs * data.train.rows
