"""Which trials of a job can share a worker, told from their parameters without torch."""

from dataclasses import asdict, dataclass
from typing import Any

from models.catalog import ConfigRefused
from models.hyperparameters import Config
from models.recipe import Recipe
from models.training.lanes.signature import reason, signature
from tuner.planning.plan import Plan
from tuner.planning.scaling import scaled_source
from tuner.spec import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """With whom a trial can share a worker, or why it trains alone."""

    signature: str | None = None
    alone: str | None = None


def lanes_of(spec: JobSpec) -> int:
    """How many trials of the job one worker may train at once."""
    lanes = spec.resources.lanes
    return 1 if lanes == "auto" else lanes


def grouping(spec: JobSpec, plan: Plan, params: Config, *, on_gpu: bool) -> Grouping:
    """Of a trial with these parameters; nothing is to be said where workers are not shared."""
    if lanes_of(spec) == 1:
        return Grouping()
    recipe = Recipe.from_json(recipe_of(spec, plan, params, epochs=1, seed=plan.seed))
    try:
        why = reason(recipe, plan.data_shape, device="cuda" if on_gpu else "cpu")
        if why is not None:
            return Grouping(alone=why)
        return Grouping(signature=signature(recipe, plan.data_shape))
    except ConfigRefused as error:  # its own attempt fails with it
        return Grouping(alone=str(error))


def recipe_of(
    spec: JobSpec, plan: Plan, params: Config, *, epochs: int, seed: int
) -> dict[str, Any]:
    """What a worker is to train for these parameters."""
    return {
        "model": spec.model,
        "data": asdict(scaled_source(spec, params)),
        "loss": spec.loss,
        "epochs": epochs,
        # An optimizer that is searched is a parameter like any other.
        "optimizer": params.get("optimizer", spec.optimizer),
        "prepare": spec.prepare_names,
        "config": dict(params),
        "seed": seed,
    }
