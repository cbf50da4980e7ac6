"""How busy the workers are: busy time / (workers × wall), with trials of very different lengths.

Trials sleep for log-normal times (sigma 0.5) with medians of 0.1, 1 and 10 seconds, in nine
reported steps, two at once, proposed by the default sampler. Once they all run to their end, and
once ASHA gives most of them up at their first step, a ninth of their time. Busy is what the
programs slept by their own clocks: waiting for a verdict is not. Measured from the first trial's
start to the last one's: as long as there is work for every worker.

    python -m benchmarks.utilisation [--medians 0.1 1 10] [--trials 200 40 10]
"""

import argparse
import math
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from benchmarks.figures import surroundings, table
from benchmarks.scheduling import Scheduling, empty_home
from tuner.db import Database, attempts
from tuner.executors.local import LocalExecutor
from tuner.protocol import Verdict
from tuner.schema import upgrade
from tuner.trial import Context, Outcome

WORKERS = 2
STEPS = 9
SIGMA = 0.5
TARGETS = {0.1: 0.90, 1.0: 0.97, 10.0: 0.99}
#: Job's seed → median seconds: a program knows its job by the seeds of its trials.
SEED_STRIDE = 100_000
Interval = tuple[float, float]


def sleep(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Sleep for a time drawn with the trial's seed; the facts say from when to when."""
    recipe = payload["recipe"]
    rng = random.Random(recipe["seed"])
    median = recipe["seed"] // SEED_STRIDE / 1000
    pause = median * math.exp(SIGMA * rng.gauss(0, 1)) / STEPS
    quality, slept = rng.random(), []
    for step in range(1, STEPS + 1):
        began = time.monotonic()
        time.sleep(pause)
        slept.append((began, time.monotonic()))
        value = quality * step / STEPS
        context.report(step, {payload["metric"]: value})
        if context.verdict(step) is not Verdict.CONTINUE:
            return Outcome.pruned(value, {"slept": slept})
    return Outcome.succeeded(value, {"slept": slept})


def utilisation(slept: Sequence[Sequence[Interval]]) -> float:
    """The share of worker time slept, from the first trial's start to the last one's."""
    first, last = min(trial[0][0] for trial in slept), max(trial[0][0] for trial in slept)
    busy = sum(max(0.0, min(end, last) - begin) for trial in slept for begin, end in trial)
    return busy / (WORKERS * (last - first))


def measure(median: float, count: int, pruner: str) -> tuple[float, float, int]:
    """Utilisation, mean seconds slept by a trial, and how many were pruned."""
    with empty_home() as settings, closing(Database(settings.url)) as database:
        upgrade(database)
        with LocalExecutor(settings.artifacts, modules=["benchmarks.utilisation"]) as executor:
            scheduling = Scheduling(database, settings, executor, "benchmarks.utilisation:sleep")
            job = scheduling.finish(
                budget={"trials": count, "epochs": STEPS},
                parallel=WORKERS,
                search={"seed": round(1000 * median) * SEED_STRIDE, "pruner": pruner},
            )
            scheduling.loop.close()
        query = sa.select(attempts.c.state, attempts.c.facts).where(
            attempts.c.job_id == job, attempts.c.trial_id.is_not(None)
        )
        with database.reading() as connection:
            rows = connection.execute(query).all()
    slept = [row.facts["slept"] for row in rows]
    assert len(slept) == count, f"{len(slept)} of {count} trials"
    lengths = [sum(end - begin for begin, end in trial) for trial in slept]
    pruned = sum(row.state == "pruned" for row in rows)
    return utilisation(slept), statistics.fmean(lengths), pruned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--medians", type=float, nargs="+", default=[0.1, 1.0, 10.0])
    parser.add_argument("--trials", type=int, nargs="+", default=[200, 40, 10])
    arguments = parser.parse_args()
    rows = []
    for median, count in zip(arguments.medians, arguments.trials, strict=True):
        for pruner in ("none", "asha"):
            share, mean, pruned = measure(median, count, pruner)
            target = f"≥ {TARGETS[median]:.2f}" if median in TARGETS else ""
            idle = 1000 * mean * (1 - share) / share
            found = (f"{mean:.3f} s", f"{idle:.1f} ms", f"{share:.3f}", target)
            rows.append((f"{median} s", pruner, f"{pruned} of {count}", *found))
    print(surroundings(), end="\n\n")
    header = ("median", "pruner", "pruned", "mean busy", "idle a trial", "utilisation", "target")
    print(table(header, rows))


if __name__ == "__main__":
    main()
