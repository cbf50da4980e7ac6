"""What was measured of lanes, noted in the cache folder for the next job of the kind."""

import hashlib
import json
import platform
from collections.abc import Callable
from typing import Literal

import torch

from models.data.loading import Dataset
from models.files import write_whole
from models.training.lanes.signature import signature
from tuner.trial_order import Job

#: Figures by name.
Figures = dict[str, float]


def noted(
    what: Literal["lanes", "graph"],
    measure: Callable[[], Figures],
    *,
    job: Job,
    data: Dataset,
    lanes: int,
    device: str,
) -> Figures:
    """What was measured for the like of the job on the like of this device, or is now.

    A note is only ever a saving: one that is missing or unreadable is measured again.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
    """
    note = job.cache / what / f"{_key(job, data, lanes, device)}.json"
    try:
        return {name: float(figure) for name, figure in json.loads(note.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        found = measure()
        write_whole(note, json.dumps(found).encode())
        return found


def _key(job: Job, data: Dataset, lanes: int, device: str) -> str:
    gpu = None if device == "cpu" else torch.cuda.get_device_name(device)
    what = [
        signature(job.recipe, data.shape),
        lanes,
        gpu or [platform.machine(), platform.node(), torch.get_num_threads()],
        torch.__version__,
    ]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]
