"""Which trials of a job can share a worker, and how many lanes its probe looks at."""

from typing import Any

import pytest

from tests.factories import make_spec
from tuner.leader.grouping import grouping, most_lanes
from tuner.planning.resolve import resolve
from tuner.spec import TrainingSpec

SHAPES: dict[str, Any] = {
    "activation": "relu",
    "normalisation": "none",
    "residual": False,
    "depth": 2,
    "width": 32,
    "batch_size": 128,
}


def most_of(trials: int = 80, parallel: int | None = None, **overrides: Any) -> int:
    given = {"model": "mlp", "data": "digits", "loss": "cross_entropy", "optimizer": "adamw"}
    spec = TrainingSpec.parse(make_spec(**given | overrides))
    return most_lanes(spec, resolve(spec, ()), trials=trials, parallel=parallel, slots=2)


def test_where_shapes_are_fixed_an_eighth_of_the_trials_may_go_at_once() -> None:
    assert most_of(space=SHAPES) == 10
    assert most_of(space=SHAPES, trials=15) == 1, "so few have nothing to learn from"


@pytest.mark.parametrize(("parallel", "most"), [(2, 1), (3, 1), (4, 2), (12, 6), (100, 10)])
def test_trials_at_once_are_spread_over_all_slots_before_they_share_a_worker(
    parallel: int, most: int
) -> None:
    assert most_of(space=SHAPES, parallel=parallel) == most
    assert most_of(space=SHAPES, parallel=parallel, resources={"lanes": 6}) == 6, "asked for"


def test_a_space_of_few_configurations_is_looked_at_as_any_other() -> None:
    plan = resolve(TrainingSpec.parse(make_spec(model="mlp", space=SHAPES)), ())
    fixed = {name: value for name, value in plan.default_config.items() if name != "lr"}
    assert most_of(space=fixed | {"lr": {"choice": [0.01, 0.1]}}) == 10


def test_where_shapes_are_searched_workers_are_not_shared() -> None:
    assert most_of() == 1
    assert most_of(space=SHAPES | {"width": {"int": [8, 64]}}) == 1


@pytest.mark.parametrize("optimizer", ["muon", "adagrad"])
def test_what_trains_alone_is_not_looked_at(optimizer: str) -> None:
    assert most_of(space=SHAPES, optimizer=optimizer) == 1


def test_who_names_a_number_gets_it() -> None:
    assert most_of(resources={"lanes": 6}) == 6
    assert most_of(resources={"lanes": 1}, space=SHAPES) == 1


def test_a_job_that_may_have_lanes_has_its_trials_grouped() -> None:
    spec = TrainingSpec.parse(
        make_spec(model="mlp", data="digits", loss="cross_entropy", optimizer="adamw", space=SHAPES)
    )
    plan = resolve(spec, ())
    one = grouping(spec, plan, plan.default_config, on_gpu=False)
    other = grouping(spec, plan, {**plan.default_config, "lr": 0.5}, on_gpu=False)
    assert one == other
    assert one.signature is not None
