"""What compiling costs once, and what it costs whoever comes later.

Lanes of a small network are compiled three times over: by the first worker of all, with an empty
folder; by a second one, a process of its own with the same folder; and not at all by a trial that
enters lanes which are compiled already. Each is timed to the end of its first step, the imports of
torch's compiler included, in processes that have imported what a fork server has. An epoch here is
one step, so that the trial's time is that of its admission, its first step and a validation.

    python -m benchmarks.recompilation [--repeats 5] [--lanes 32]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.figures import surroundings, table

#: A multilayer perceptron of 9,000 parameters.
CONFIG = {"batch_size": 64, "depth": 2, "width": 64, "normalisation": "none", "activation": "relu"}
STEPS = 50


def worker(folder: Path, lanes: int) -> dict[str, float]:
    """Seconds of a worker's first step, of a later trial's, and of a step in each way."""
    import torch

    import tuner.trainer  # noqa: F401
    from models.catalog import DataSource
    from models.data.loading import load
    from models.recipe import Recipe
    from models.training.lanes.graph import Graph
    from models.training.lanes.lanes import Lanes

    torch.set_num_threads(1)
    data = load("digits", cache_dir=folder / "data")
    train, val = (
        replace(split, inputs=split.inputs[:64], labels=split.labels[:64])
        for split in (data.train, data.val)
    )
    data = replace(data, train=train, val=val)
    recipe = Recipe(
        model="mlp",
        loss="cross_entropy",
        optimizer="adamw",
        data=DataSource(name="digits"),
        config=CONFIG,
        epochs=1,
        seed=0,
    )
    eager = Lanes(recipe, data, capacity=lanes).step_seconds(STEPS)
    compiled = Lanes(recipe, data, capacity=lanes, graph=Graph("compile", folder / "compiled"))
    assert compiled.why_eager is None, compiled.why_eager
    step = compiled.step_seconds(STEPS)
    compiled.admit(0, recipe)
    compiled.advance()
    compiled.evict(0)
    began = time.perf_counter()
    compiled.admit(0, replace(recipe, config={**CONFIG, "lr": 0.03}, seed=1))
    compiled.advance()
    trial = time.perf_counter() - began
    return {"worker": compiled.graph_seconds, "trial": trial, "eager": eager, "compiled": step}


def in_process(folder: Path, lanes: int) -> dict[str, float]:
    """The same, measured by a process of its own."""
    command = [sys.executable, "-m", "benchmarks.recompilation", "--worker", str(folder)]
    done = subprocess.run(
        [*command, "--lanes", str(lanes)], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if arguments.worker is not None:
        print(json.dumps(worker(arguments.worker, arguments.lanes)))
        return
    first, second = [], []
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory(prefix="tuner-bench-") as folder:
            first.append(in_process(Path(folder), arguments.lanes))
            second.append(in_process(Path(folder), arguments.lanes))
    cold = [once["worker"] for once in first]
    rows = [
        _row("the first worker: compiles", cold, cold, ""),
        _row("the next worker: loads", cold, [once["worker"] for once in second], "≥ 3"),
        _row("the next trial of a worker", cold, [once["trial"] for once in second], "≥ 100"),
    ]
    print(surroundings(), end="\n\n")
    print(table(("until the first step of", "median", "range", "first ÷ it", "target"), rows))
    speeds = [once["eager"] / once["compiled"] for once in (*first, *second)]
    eager, compiled = (
        1e3 * statistics.median(once[way] for once in (*first, *second))
        for way in ("eager", "compiled")
    )
    print(
        f"\nA step of {arguments.lanes} lanes: eagerly {eager:.2f} ms, compiled {compiled:.2f} ms;"
    )
    print(f"ratio {statistics.median(speeds):.1f}, {min(speeds):.1f} … {max(speeds):.1f}")


def _row(name: str, cold: Sequence[float], took: Sequence[float], target: str) -> tuple[str, ...]:
    ratio = statistics.median(one / other for one, other in zip(cold, took, strict=True))
    low, high = min(took), max(took)
    return (
        name,
        f"{statistics.median(took):.3g} s",
        f"{low:.3g} … {high:.3g} s",
        f"{ratio:.3g}×",
        target,
    )


if __name__ == "__main__":
    main()
