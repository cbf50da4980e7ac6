"""How many lanes a job's workers are to have, as its probe finds out."""

import hashlib
import json
import platform
from typing import Any

import torch

from models.data.loading import Dataset
from models.files import write_whole
from models.training.lanes.lanes import LaneRefused, Lanes
from models.training.lanes.signature import reason, signature
from models.training.lanes.throughput import Throughput, best, measured
from tuner.trial_order import Job


def lanes_facts(job: Job, data: Dataset, *, device: str) -> dict[str, Any]:
    """``lanes`` for the job's workers, and how that came about; nothing where none were asked for.

    ``rows_per_second`` by number of lanes where they were measured, now or for an earlier job of
    the same signature on such a device; ``alone``, a sentence, where the network cannot be carried.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
    """
    if job.most_lanes == 1:
        return {}
    why = reason(job.recipe, data.shape, device=device)
    try:
        if job.measure_lanes:
            if why is not None:
                raise LaneRefused(why)
            found = _remembered(job, data, device)
            return {"lanes": best(found), "rows_per_second": {str(k): v for k, v in found.items()}}
        # What keeps the default configuration out of lanes, its trial says itself; others may fit.
        return {} if why is not None else {"lanes": _fitting(job, data, device)}
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


def _remembered(job: Job, data: Dataset, device: str) -> Throughput:
    """What was measured for the like of it on the like of this device, or is now."""
    note = job.cache / "lanes" / f"{_key(job, data, device)}.json"
    try:
        return {int(lanes): float(rate) for lanes, rate in json.loads(note.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        found = measured(job.recipe, data, most=job.most_lanes, device=device)
        write_whole(note, json.dumps(found).encode())
        return found


def _key(job: Job, data: Dataset, device: str) -> str:
    gpu = None if device == "cpu" else torch.cuda.get_device_name(device)
    what = [
        signature(job.recipe, data.shape),
        job.most_lanes,
        gpu or [platform.machine(), platform.node(), torch.get_num_threads()],
        torch.__version__,
    ]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]
