"""How many lanes a job's workers are to have, as its probe finds out."""

from typing import Any

import torch

from models.data.loading import Dataset
from models.training.lanes.lanes import LaneRefused, Lanes
from models.training.lanes.signature import reason
from models.training.lanes.throughput import Throughput, best, measured
from tuner.lane_notes import Figures, noted
from tuner.measured_graph import graph_facts
from tuner.trial_order import Job


def lanes_facts(job: Job, data: Dataset, *, device: str) -> dict[str, Any]:
    """``lanes`` for the job's workers, and how that came about; nothing where none were asked for.

    ``rows_per_second`` by number of lanes where they were measured, now or for an earlier job of
    the same signature on such a device; ``alone``, a sentence, where the network cannot be carried;
    and what `graph_facts` has to say.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
    """
    if job.most_lanes == 1:
        return {}
    why = reason(job.recipe, data.shape, device=device)
    if why is not None and not job.measure_lanes:
        # What keeps the default configuration out of lanes, its trial says itself; others may fit.
        return {}
    try:
        if why is not None:
            raise LaneRefused(why)
        found = _measured(job, data, device) if job.measure_lanes else {}
        lanes = best(found) if found else _fitting(job, data, device)
        facts: dict[str, Any] = {"lanes": lanes}
        if found:
            facts["rows_per_second"] = {str(k): v for k, v in found.items()}
        rate = found.get(lanes)
        return facts | graph_facts(job, data, lanes=lanes, eager_rate=rate, device=device)
    except LaneRefused as refused:
        return {"lanes": 1, "alone": str(refused)}


def _fitting(job: Job, data: Dataset, device: str) -> int:
    """As many lanes as were asked for, or half as many, and so on, until they fit into memory."""
    lanes = job.most_lanes
    while lanes > 1:
        try:
            Lanes(job.recipe, data, capacity=lanes, device=device)
            break
        except torch.OutOfMemoryError:
            lanes //= 2
    return lanes


def _measured(job: Job, data: Dataset, device: str) -> Throughput:
    def measure() -> Figures:
        found = measured(job.recipe, data, most=job.most_lanes, device=device)
        return {str(lanes): rate for lanes, rate in found.items()}

    found = noted("lanes", measure, job=job, data=data, lanes=job.most_lanes, device=device)
    return {int(lanes): rate for lanes, rate in found.items()}
