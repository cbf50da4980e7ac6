"""A compiled step of all lanes is the step, made once, whoever enters and leaves."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import torch

from models.data.loading import Dataset
from models.recipe import Recipe
from models.training.lanes.graph import Graph
from models.training.lanes.graph_pays import GraphRefused, Speed, pays, speed, worth_a_try
from models.training.lanes.lanes import Lanes
from models.training.train import Diverged, Epoch
from tests.unit.models.conftest import MakeRecipe
from tests.unit.models.test_lanes import (
    Curve,
    alone,
    assert_same,
    few,
    in_lanes,
    two,
    without_clock,
)

#: What a worker of another start does with the same folder: how often it compiled, and loaded.
OTHER: Final = """
import json, sys
from pathlib import Path
import torch
from torch._dynamo.utils import counters
torch.set_num_threads(int(sys.argv[3]))
from models.data.loading import load
from models.recipe import Recipe
from models.training.lanes.graph import Graph
from models.training.lanes.lanes import Lanes
folder = Path(sys.argv[1])
recipe = Recipe.from_json(json.loads(sys.argv[2]))
data = load("digits", cache_dir=folder / "data")
lanes = Lanes(recipe, data, capacity=3, graph=Graph("compile", folder))
assert lanes.why_eager is None, lanes.why_eager
print(json.dumps(counters["aot_autograd"] | counters["inductor"]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of compiled code: what one test compiled the next one has."""
    return tmp_path_factory.mktemp("compiled")


def compiled(recipe: Recipe, data: Dataset, folder: Path) -> Lanes:
    lanes = Lanes(recipe, data, capacity=3, graph=Graph("compile", folder))
    assert lanes.why_eager is None
    return lanes


def graphs_made() -> int:
    """How many graphs were compiled, or loaded, in this process."""
    # Imported once something was compiled: torch's own warnings are no errors of ours then.
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def small(make_recipe: MakeRecipe) -> list[Recipe]:
    """Two recipes of a network that compiles in seconds, of one signature, unlike in all else."""
    shape = {"depth": 1, "width": 8, "normalisation": "layer", "activation": "relu"}
    return two(make_recipe, optimizer="sgd", config=shape)


def test_a_trial_in_compiled_lanes_is_the_trial_alone(
    make_recipe: MakeRecipe, digits: Dataset, folder: Path
) -> None:
    recipes, data = small(make_recipe), few(digits)
    lanes = compiled(recipes[0], data, folder)
    for lane, recipe in enumerate(recipes, start=1):
        lanes.admit(lane, recipe)
    for lane, checkpoint in in_lanes(lanes).items():
        assert_same(checkpoint, alone(recipes[lane - 1], data), 1e-4)


def test_whoever_enters_leaves_or_diverges_nothing_is_compiled_again(
    make_recipe: MakeRecipe, digits: Dataset, folder: Path
) -> None:
    data, recipes = few(digits), small(make_recipe)
    wild = replace(recipes[0], config={**recipes[0].config, "lr": 1e30}, seed=2)
    lanes = compiled(recipes[0], data, folder)
    graphs = graphs_made()
    lanes.admit(1, recipes[0])
    undisturbed = in_lanes(lanes)[1]
    lanes.evict(1)
    lanes.admit(1, recipes[0])
    lanes.admit(0, recipes[1])
    lanes.admit(2, wild)
    assert isinstance(lanes.advance()[2], Diverged)
    lanes.evict(0)
    with ThreadPoolExecutor(1) as another:  # of attempts in lanes, whoever asks last trains for all
        another.submit(lanes.advance).result()
    lanes.admit(2, replace(recipes[1], seed=9))
    last = lanes.advance()[1]
    assert isinstance(last, Epoch)
    mine = last.checkpoint()
    assert without_clock(mine) == without_clock(undisturbed), "no bit is another"
    assert all(torch.equal(mine.tensors[n], t) for n, t in undisturbed.tensors.items())
    assert graphs_made() == graphs


def test_a_second_process_loads_what_the_first_compiled(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe, _ = small(make_recipe)
    given = [str(tmp_path), json.dumps(recipe.to_json()), str(torch.get_num_threads())]
    # Not this process and another: torch's digest depends on who has imported torch first, which
    # is the fork server of all workers.
    found = [
        subprocess.run([sys.executable, "-c", OTHER, *given], capture_output=True, text=True)
        for _ in range(2)
    ]
    assert [done.returncode for done in found] == [0, 0], found
    first, second = (json.loads(done.stdout) for done in found)
    assert first["fxgraph_cache_miss"] == 1
    assert second["autograd_cache_hit"] == 1
    assert "fxgraph_cache_miss" not in second


def test_without_a_compiler_steps_are_eager_and_lanes_say_why(
    make_recipe: MakeRecipe, digits: Dataset, tmp_path: Path
) -> None:
    from torch._inductor import config

    (recipe, _), data = small(make_recipe), few(digits)
    graph = Graph("compile", tmp_path)
    with config.patch({"cpp.cxx": ("no-such-compiler",)}):
        lanes = Lanes(recipe, data, capacity=2, graph=graph)
    assert (lanes.why_eager or "").startswith("compile raises InvalidCxxCompiler: ")
    assert "\n" not in (lanes.why_eager or "")
    lanes.admit(0, recipe)
    eager = Lanes(recipe, data, capacity=2)
    eager.admit(0, recipe)
    curves: list[Curve] = [without_clock(in_lanes(each)[0]) for each in (lanes, eager)]
    assert curves[0] == curves[1]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (torch.OutOfMemoryError("no room"), "compile takes more memory than there is."),
        (RuntimeError("no rule\nfor it"), "compile raises RuntimeError: no rule"),
    ],
)
def test_of_a_graph_that_cannot_be_had_no_speed_is_measured(
    error: Exception,
    why: str,
    make_recipe: MakeRecipe,
    digits: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*args: object) -> None:
        raise error

    monkeypatch.setattr("models.training.lanes.graph._compiled", fails)
    with pytest.raises(GraphRefused) as raised:
        speed(make_recipe(), few(digits), lanes=2, graph=Graph("compile"))
    assert str(raised.value) == why


def test_speed_is_measured_of_real_steps(make_recipe: MakeRecipe, digits: Dataset) -> None:
    found = speed(make_recipe(), digits, lanes=2)
    assert found.rows_per_second > 0
    assert found.seconds == 0.0


@pytest.mark.parametrize(
    ("rows", "seconds", "rate", "better"),
    [
        (1e6, 0.0, 1000.0, False),
        (1e6, 0.0, 1099.0, False),
        (1e6, 0.0, 1101.0, True),
        (1e6, 500.0, 2000.0, False),
        (1e6, 400.0, 2000.0, True),
        (1e3, 10.0, 1e6, False),
    ],
)
def test_a_graph_has_to_save_a_tenth_of_the_job_with_what_it_takes_to_make(
    rows: float, seconds: float, rate: float, better: bool
) -> None:
    eager = Speed(seconds=0.0, rows_per_second=1000.0)
    assert pays(rows, Speed(seconds=seconds, rows_per_second=rate), eager) is better


def test_a_short_job_does_not_try() -> None:
    assert not worth_a_try(199_000, 1000.0)
    assert worth_a_try(201_000, 1000.0)
