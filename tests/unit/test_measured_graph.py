"""What a probe finds of graphs: when it looks, what it says, and what it remembers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.loading import Dataset, load
from models.training.lanes.graph import EAGER, Graph
from models.training.lanes.graph_pays import GraphRefused, Speed
from tuner.measured_graph import graph_facts
from tuner.trial_order import Job

Measured = Callable[..., list[str]]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return load("digits", cache_dir=tmp_path)


def job(folder: Path, *, graph: str = "auto", trials: int = 100_000) -> Job:
    recipe = {
        "model": "mlp",
        "data": {"name": "digits"},
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "config": {},
        "epochs": 1,
        "seed": 0,
    }
    payload = {
        "recipe": recipe,
        "metric": "val_loss",
        "direction": "minimize",
        "roots": [],
        "cache": str(folder),
        "artifacts": str(folder),
        "graph": graph,
        "trials": trials,
    }
    return Job.of(payload)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Have steps be so fast; what was measured is in the list."""

    def as_if(rates: dict[str, float], seconds: float = 10.0) -> list[str]:
        looked: list[str] = []

        def speed(*args: object, graph: Graph, **named: object) -> Speed:
            looked.append(graph.kind)
            if graph.kind not in rates:
                raise GraphRefused("compile raises InvalidCxxCompiler: none")
            took = 0.0 if graph == EAGER else seconds
            return Speed(seconds=took, rows_per_second=rates[graph.kind])

        monkeypatch.setattr("tuner.measured_graph.speed", speed)
        return looked

    return as_if


def found(of: Job, data: Dataset, *, lanes: int = 8, rate: float | None = 1e5) -> dict[str, Any]:
    return graph_facts(of, data, lanes=lanes, eager_rate=rate, device="cpu")


def test_auto_takes_the_faster_one_and_remembers_it(
    measured: Measured, data: Dataset, tmp_path: Path
) -> None:
    looked = measured({"eager": 1e5, "compile": 5e5})
    facts = found(job(tmp_path), data)
    assert facts == {
        "graph": "compile",
        "graph_seconds": 10.0,
        "graph_rows_per_second": {"compile": 5e5, "eager": 1e5},
    }
    assert looked == ["eager", "compile"]
    assert found(job(tmp_path), data) == facts
    assert looked == ["eager", "compile"], "it is noted"
    assert found(job(tmp_path, trials=10), data)["graph"] == "eager", "for so few it does not pay"
    found(job(tmp_path), data, lanes=4)
    assert len(looked) == 4, "of other lanes nothing is known"


def test_auto_is_never_slower(measured: Measured, data: Dataset, tmp_path: Path) -> None:
    measured({"eager": 1e5, "compile": 1e5})
    facts = found(job(tmp_path), data)
    assert (facts["graph"], facts["graph_seconds"]) == ("eager", 10.0)


def test_a_short_job_does_not_compile_to_find_out(
    measured: Measured, data: Dataset, tmp_path: Path
) -> None:
    looked = measured({"eager": 1e5, "compile": 5e5})
    facts = found(job(tmp_path, trials=100), data)
    assert facts == {
        "graph": "eager",
        "eager": "All steps of the job take some 1 s: too few to try compiling them.",
    }
    assert looked == []
    found(job(tmp_path, trials=100), data, rate=None)
    assert looked == ["eager"], "a rate that nobody has measured is"


def test_where_nothing_compiles_steps_are_eager_and_the_probe_says_why(
    measured: Measured, data: Dataset, tmp_path: Path
) -> None:
    measured({"eager": 1e5})
    why = "compile raises InvalidCxxCompiler: none"
    for graph in ("auto", "compile"):
        assert found(job(tmp_path, graph=graph), data) == {"graph": "eager", "eager": why}


@pytest.mark.parametrize("graph", ["compile", "cudagraph"])
def test_what_is_asked_for_is_made_however_short_the_job(
    graph: str, measured: Measured, data: Dataset, tmp_path: Path
) -> None:
    measured({graph: 5e5})
    assert found(job(tmp_path, graph=graph, trials=1), data) == {
        "graph": graph,
        "graph_seconds": 10.0,
        "graph_rows_per_second": {graph: 5e5},
    }


@pytest.mark.parametrize(("graph", "lanes"), [("eager", 8), ("compile", 1), ("auto", 1)])
def test_one_lane_or_eager_steps_want_no_looking(
    graph: str, lanes: int, measured: Measured, data: Dataset, tmp_path: Path
) -> None:
    looked = measured({})
    assert found(job(tmp_path, graph=graph), data, lanes=lanes) == {"graph": "eager"}
    assert looked == []
