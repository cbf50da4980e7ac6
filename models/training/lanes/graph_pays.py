"""Whether a graph pays: what making it takes against what its steps save."""

from dataclasses import dataclass
from typing import Final

import torch

from models.data.loading import Dataset
from models.recipe import Recipe
from models.training.lanes.graph import EAGER, Graph
from models.training.lanes.lanes import Lanes

#: What compiling a small network takes of a core, from experience.
TYPICAL_S: Final = 20.0
#: So much longer an eager job has to take, or the graph is not worth it.
_WORTH: Final = 1.1
#: As often a step is timed.
_STEPS: Final = 7


class GraphRefused(Exception):
    """Such lanes have no such graph; it says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What one way of carrying out steps takes, and does."""

    #: Until the first step is taken.
    seconds: float
    rows_per_second: float

    def seconds_of(self, rows: float) -> float:
        """How long learning from so many rows takes, in all."""
        return self.seconds + rows / self.rows_per_second


def speed(
    recipe: Recipe, data: Dataset, *, lanes: int, device: str = "cpu", graph: Graph = EAGER
) -> Speed:
    """Of so many lanes for such recipes. `data` must be on `device`.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        GraphRefused: it cannot be had; it says why.
        LaneRefused: such trainings go alone.
    """
    try:
        each = Lanes(recipe, data, capacity=lanes, device=device, graph=graph)
    except torch.OutOfMemoryError as error:
        raise GraphRefused(f"{graph.kind} takes more memory than there is.") from error
    if each.why_eager is not None:
        raise GraphRefused(each.why_eager)
    step = each.step_seconds(_STEPS)
    return Speed(seconds=each.graph_seconds, rows_per_second=each.rows_of_a_step / step)


def worth_a_try(rows: float, eager_rows_per_second: float) -> bool:
    """Whether compiling a small network in vain would cost so many rows less than a tenth."""
    return rows / eager_rows_per_second * (_WORTH - 1) > TYPICAL_S


def pays(rows: float, graph: Speed, eager: Speed) -> bool:
    """Whether a job of so many rows is done sooner by a tenth, making the graph included."""
    return _WORTH * graph.seconds_of(rows) < eager.seconds_of(rows)
