"""What an order asks the service's own program: which training, on which data, judged by what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.data.entry import PYTHON
from models.data.loading import Dataset, load
from models.importing import PartRefused, is_import_path, load_others, path_complaint
from models.recipe import Recipe
from models.training.lanes.graph import EAGER, Graph, Kind
from tuner.artifacts.places import COMPILED
from tuner.foreign.entering import enter_code
from tuner.planning.capacity import Capacity
from tuner.states import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the order says."""

    recipe: Recipe
    metric: str
    direction: Direction
    #: The address of the artifact store, and the trial's folder in it.
    artifacts: str
    folder: str
    data_roots: tuple[str, ...]
    cache: Path
    #: Modules from which parts may be imported.
    allowed_code: tuple[str, ...]
    #: The folder from which they come first; see `enter_code`.
    code: Mapping[str, Any] | None
    #: What a network by import path must stay within, which the scheduler could not see; None of
    #: any other.
    capacity: Capacity | None
    #: The last step the scheduler has heard of.
    reported: int
    #: How often the part of a batch that is in memory at once is halved.
    halvings: int
    #: What is worse is not among the best, whose networks are kept; None where it may be all the
    #: same.
    to_beat: float | None
    #: How many lanes the job's workers may have; a probe finds out how many they get.
    most_lanes: int
    #: Whether as many as pay, not as many as fit.
    measure_lanes: bool
    #: How the steps of lanes are to be carried out; ``auto`` is for a probe to find out.
    graph: Kind | Literal["auto"]
    #: How many trials the job has in all.
    trials: int
    #: Hyperparameters whose ranges a probe is to find.
    ranges: tuple[str, ...]
    #: What a trial may take; None where the job does not say.
    memory_gb: float | None

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Job":
        """The job in the payload of an order."""
        return cls(
            recipe=Recipe.from_json(payload["recipe"]),
            metric=payload["metric"],
            direction=Direction(payload["direction"]),
            artifacts=payload["artifacts"],
            folder=payload.get("folder", ""),
            data_roots=tuple(payload["roots"]),
            cache=Path(payload["cache"]),
            allowed_code=tuple(payload.get("allowed_code", ())),
            code=payload.get("code"),
            capacity=Capacity.from_json(payload["capacity"]) if "capacity" in payload else None,
            reported=payload.get("reported", 0),
            halvings=payload.get("halvings", 0),
            to_beat=payload.get("to_beat"),
            most_lanes=payload.get("most_lanes", 1),
            measure_lanes=payload.get("measure_lanes", False),
            graph=payload.get("graph", "eager"),
            trials=payload.get("trials", 1),
            ranges=tuple(payload.get("ranges", ())),
            memory_gb=payload.get("memory_gb"),
        )

    def graph_as(self, kind: Kind) -> Graph:
        """Such a graph, its files in the server's cache folder."""
        return EAGER if kind == "eager" else Graph(kind, self.cache / COMPILED)

    def is_kept(self, value: float) -> bool:
        """Whether a trial of this value may leave its network: no other is better already."""
        return self.to_beat is None or not self.direction.better(self.to_beat, value)

    def has_stalled(self, curve: Sequence[Mapping[str, float]]) -> bool:
        """Whether the last `early_stopping` epochs of a curve all brought nothing better."""
        patience = int(self.recipe.config.get("early_stopping", 0))
        best, waited = None, 0
        for metrics in curve:
            value = metrics.get(self.metric)
            if value is not None and self.direction.better(value, best):
                best, waited = value, 0
            else:
                waited += 1
        return 0 < patience <= waited

    def misfit(self) -> str | None:
        """Why no network by import path is built for this configuration; None if there is one.

        Raises:
            PartRefused: code the recipe names may not be imported any more, or is no network.
        """
        if self.capacity is None:
            return None
        self._enter()
        return self.capacity.misfit(self.recipe.config)

    def read_data(self, device: str) -> Dataset:
        """The data set, on `device`.

        Raises:
            DataRefused: it is missing, or cannot be used.
            PartRefused: code the recipe names may not be imported any more, or is not there.
        """
        recipe = self.recipe
        self._enter()
        return load(
            recipe.data,
            roots=self.data_roots,
            split_seed=recipe.split_seed,
            cache_dir=self.cache,
            device=device,
        )

    def import_code(self) -> None:
        """Import all code of others that the recipe names.

        Raises:
            PartRefused: it may not be imported any more, or is not there.
        """
        self._enter()
        for path in import_paths(self.recipe):
            load_others(path)

    def _enter(self) -> None:
        """Have the recipe's code at hand, if it is still allowed."""
        check_allowed(self.recipe, (*self.allowed_code, *enter_code(self.code)))


def import_paths(recipe: Recipe) -> list[str]:
    """The parts of a recipe that are code of others."""
    of_data = [str(recipe.data.path)] if recipe.data.name == PYTHON.name else []
    parts = (recipe.model, recipe.loss, recipe.optimizer, *recipe.prepare, *recipe.config)
    return [*of_data, *filter(is_import_path, parts)]


def check_allowed(recipe: Recipe, allowed_code: tuple[str, ...]) -> None:
    """Refuse code that was allowed at submission and is no more.

    Raises:
        PartRefused: naming the code and the setting.
    """
    for name in import_paths(recipe):
        complaint = path_complaint("part", name, allowed_code)
        if complaint is not None:
            raise PartRefused(complaint)
