"""Which trials of a job can share a worker, told from their parameters without torch."""

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from models.catalog import ConfigRefused
from models.hyperparameters import Config
from models.recipe import Recipe
from models.training.lanes.signature import reason, signature
from tuner.planning.plan import Plan
from tuner.planning.scaling import scaled_source
from tuner.search.study import JobStudy
from tuner.search_spec import Search
from tuner.spec import JobSpec, TrainingSpec

#: A worker with `auto` lanes trains at most one in so many of a job's trials at once.
_ROUNDS: Final = 8
#: Trials drawn at random, to see whether they agree.
_DRAWN: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """With whom a trial can share a worker, or why it trains alone."""

    signature: str | None = None
    alone: str | None = None


def lanes_of(spec: JobSpec) -> int:
    """How many trials of the job one worker may train at once, before a probe has looked."""
    if not isinstance(spec, TrainingSpec):
        return 1
    lanes = spec.resources.lanes
    return 1 if lanes == "auto" else lanes


def graph_of(spec: JobSpec) -> str:
    """How the steps of the job's lanes are carried out, before a probe has looked."""
    graph = spec.resources.graph
    return "eager" if graph == "auto" else graph


def most_lanes(
    spec: TrainingSpec, plan: Plan, *, trials: int, parallel: int | None, slots: int
) -> int:
    """How many lanes the job's probe may find to pay, or to fit; 1 where it need not look.

    ``auto`` is for jobs that search nothing that shapes a network: most of their trials agree. A
    worker trains at most an eighth of them at once, so that those to come can learn from the past,
    and no more than it gets where `parallel` trials at once are spread over the host's `slots`.
    """
    lanes = spec.resources.lanes
    if lanes != "auto":
        return lanes
    most = trials // _ROUNDS
    if parallel is not None:
        most = min(most, parallel // max(1, slots))
    return most if most > 1 and _mostly_agree(spec, plan) else 1


def _mostly_agree(spec: TrainingSpec, plan: Plan) -> bool:
    """Whether most pairs of some trials drawn at random have the same signature."""
    study = JobStudy(
        job="",
        space=plan.space,
        directions=[plan.direction],
        search=Search(sampler="random", duplicates="allow"),
        epochs=1,
        seed=plan.seed,
        feasible=plan.feasible,
        default_config=plan.default_config,
    )
    points = (study.ask().params for _ in range(_DRAWN))
    # Without a GPU's precision: that is told where its device is known.
    drawn = Counter(grouping(spec, plan, point, on_gpu=False).signature for point in points)
    agreeing = sum(n * (n - 1) for signature, n in drawn.items() if signature is not None)
    return 2 * agreeing >= _DRAWN * (_DRAWN - 1)


def grouping(spec: JobSpec, plan: Plan, params: Config, *, on_gpu: bool) -> Grouping:
    """Of a trial with these parameters; nothing is to be said where no worker may be shared."""
    if not isinstance(spec, TrainingSpec) or spec.resources.lanes == 1:
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
    spec: TrainingSpec, plan: Plan, params: Config, *, epochs: int, seed: int
) -> dict[str, Any]:
    """What a worker is to train for these parameters."""
    return {
        "model": spec.model,
        "data": asdict(replace(scaled_source(spec, params), digest=plan.data_shape.digest)),
        "loss": spec.loss,
        "epochs": epochs,
        # An optimizer that is searched is a parameter like any other.
        "optimizer": params.get("optimizer", spec.optimizer),
        "prepare": spec.prepare_names,
        "config": dict(params),
        "seed": seed,
    }
