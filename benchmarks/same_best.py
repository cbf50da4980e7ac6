"""Lanes change how trials are trained, not what a job finds: its best value with them and without.

The same job (seed, space, budget, defaults of search) once with `lanes: 1` and once with `lanes:
auto`, for some seeds. Trials in lanes end in another order, so the sampler proposes others: the
best values are to differ by no more than they do from seed to seed.

    python -m benchmarks.same_best [--seeds 5] [--trials 64] [--minutes 5]
"""

import argparse
import os
import time
from collections.abc import Sequence
from statistics import mean, stdev

from benchmarks.figures import surroundings, table
from benchmarks.lanes_jobs import PATIENCE_S
from benchmarks.service import serving
from benchmarks.time_to_target import GOALS, Goal, spec_of
from tuner.client import Client

LANES = (1, "auto")


def best_of(client: Client, goal: Goal, seed: int, trials: int, lanes: int | str) -> float:
    """The best value of a job that has had all its trials."""
    spec = spec_of(goal, seed)
    budget = {"trials": trials, "epochs": goal.task.epochs}
    # By its loss: the best accuracies are the same few of 359 rows.
    changes = {"metric": "val_loss", "budget": budget, "resources": {"lanes": lanes}}
    job = client.submit({**spec, **changes})
    view = job.wait(PATIENCE_S).view
    assert view.counts.completed + view.counts.pruned == trials, view.counts
    assert view.best is not None
    return view.best.value


def within(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The mean difference of the second to the first, and how the first differ among themselves."""
    return mean(after - before for before, after in pairs), stdev(before for before, _ in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=5.0)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    until = time.monotonic() + 60 * arguments.minutes
    goal, pairs = GOALS[0], []
    with serving(TUNER_CPUS="2") as (client, _, _):
        for seed in range(arguments.seeds):
            if len(pairs) >= 2 and time.monotonic() > until:
                break
            one, many = (best_of(client, goal, seed, arguments.trials, k) for k in LANES)
            pairs.append((one, many))
    rows = [
        (seed, f"{one:.4f}", f"{many:.4f}", f"{many - one:+.4f}")
        for seed, (one, many) in enumerate(pairs)
    ]
    difference, spread = within(pairs)
    print(f"{surroundings()}, {goal.task.name}, val_loss, {arguments.trials} trials\n")
    print(table(("seed", "lanes 1", "lanes auto", "difference"), rows))
    print(
        f"\nmean difference {difference:+.4f}; from seed to seed {spread:.4f} (standard deviation)"
    )


if __name__ == "__main__":
    main()
