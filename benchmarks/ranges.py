"""A learning-rate range found by the probe against a usual one, where nobody knows either.

Digits, a small `mlp`, and optimizers by import path; the outputs of some networks are scaled by
their loss, as those of a network of one's own may be. Both ways are jobs of the service, with the
same budget and seeds: ``found`` says nothing of `lr`, ``usual`` gives it 1e-4 to 1e-1 and 1e-3 in
trial 0. Each score is the accuracy of validation.

    python -m benchmarks.ranges [--seeds 5] [--trials 12] [--epochs 8]
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Final

from benchmarks.figures import surroundings, table
from benchmarks.fixed import FIXED
from benchmarks.lanes_jobs import PATIENCE_S
from benchmarks.service import serving
from tuner.client import Client, Job

Case = tuple[str, float]
#: The best trial's score and the first's.
Scores = tuple[float, float]

#: Optimizers, and by what outputs are multiplied.
CASES: Final = (
    ("torch.optim:SGD", 0.01),
    ("torch.optim:SGD", 1.0),
    ("torch.optim:SGD", 100.0),
    ("torch.optim:AdamW", 0.01),
    ("torch.optim:AdamW", 1.0),
    ("torch.optim:AdamW", 100.0),
    ("torch.optim:Adadelta", 1.0),
    ("benchmarks.ranges_parts:Lion", 1.0),
)
WAYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "usual": {"lr": {"float": [1e-4, 1e-1], "log": True, "default": 1e-3}},
    "found": {},
}
#: What is fixed of all optimizers alike.
SHARED: Final = ("activation", "residual", "dropout", "schedule", "warmup", "clip_norm")
ROOT: Final = Path(__file__).parents[1]


def submit(client: Client, case: Case, way: str, seed: int, budget: Mapping[str, int]) -> Job:
    optimizer, scale = case
    shape = {"depth": 2, "width": 64, "batch_size": 64}
    fixed = {name: FIXED[name] for name in SHARED} | shape | {"scale": scale}
    return client.submit(
        {
            "model": "mlp",
            "data": "digits",
            "loss": "benchmarks.ranges_parts:Scaled",
            "optimizer": optimizer,
            "metric": "val_accuracy",
            "space": {**fixed, **WAYS[way]},
            "budget": budget,
            "parallel": 1,
            "keep": {"best": 0},
            "search": {"seed": seed},
        }
    )


def scores(client: Client, job: Job) -> Scores:
    best = job.wait(PATIENCE_S).view.best
    assert best is not None, job.view
    return best.value, client.trial(job, 0).value or 0.0


def compared(usual: Sequence[float], found: Sequence[float]) -> tuple[str, str, str]:
    """The means, and of how many seeds the range that was found is better or as good."""
    good = sum(new >= old for old, new in zip(usual, found, strict=True))
    return f"{mean(usual):.3f}", f"{mean(found):.3f}", f"{good} of {len(found)}"


def row(case: Case, usual: Sequence[Scores], found: Sequence[Scores]) -> tuple[str, ...]:
    optimizer, scale = case
    best = compared([best for best, _ in usual], [best for best, _ in found])
    first = compared([first for _, first in usual], [first for _, first in found])
    return optimizer.partition(":")[2], f"{scale:g}", *best, *first


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    budget = {"trials": arguments.trials, "epochs": arguments.epochs}
    rows = []
    with serving(TUNER_CPUS="2", TUNER_ALLOWED_CODE="torch,benchmarks") as (client, _, _):
        for case in CASES:
            jobs = {
                way: [submit(client, case, way, seed, budget) for seed in range(arguments.seeds)]
                for way in WAYS
            }
            found = {way: [scores(client, job) for job in mine] for way, mine in jobs.items()}
            rows.append(row(case, found["usual"], found["found"]))
            print(*rows[-1], flush=True)
    print(f"\n{surroundings()}, {arguments.seeds} seeds, {arguments.trials} trials\n")
    best = ("best, usual", "best, found", "as good or better")
    first = ("trial 0, usual", "trial 0, found", "as good or better")
    print(table(("optimizer", "outputs ×", *best, *first), rows))


if __name__ == "__main__":
    main()
