"""What a ``suggest_*`` call of an objective costs: over the channel, and in Optuna itself.

The same objective, whose every call is timed, carried out by ``tuner serve`` in worker processes
and by ``study.optimize`` in this one; the same samplers, the same seed, one trial at a time.

Prints, by sampler, the median call of each and what the channel adds, with the slowest of 100.
"""

import time
from collections.abc import Mapping
from statistics import median
from typing import Final

import optuna

from benchmarks.figures import quantile, surroundings, table
from benchmarks.service import serving
from tuner.client import Client

TRIALS: Final = 60
PARAMETERS: Final = 20
SEED: Final = 7
#: In milliseconds, of each call.
TIMES: Final = "suggest_ms"
SAMPLERS: Final[Mapping[str, type[optuna.samplers.BaseSampler]]] = {
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
}


def objective(trial: optuna.Trial) -> float:
    """A sum of squares, and a note of what each call took."""
    times, total = [], 0.0
    for index in range(PARAMETERS):
        began = time.perf_counter()
        x = trial.suggest_float(f"x{index}", -1.0, 1.0)
        times.append(1e3 * (time.perf_counter() - began))
        total += x * x
    trial.set_user_attr(TIMES, times)
    return total


def _through_the_service(client: Client, sampler: str) -> list[float]:
    job = client.submit(
        {
            "objective": "benchmarks.suggesting:objective",
            "budget": {"trials": TRIALS},
            "parallel": 1,
            "search": {"sampler": sampler, "pruner": "none", "seed": SEED},
        }
    )
    for _ in job.events():
        pass
    trials = [trial for trial in job.trials() if trial.user_attrs]
    return [ms for trial in trials for ms in (trial.user_attrs or {})[TIMES]]


def _in_optuna(sampler: str) -> list[float]:
    kwargs = {"multivariate": True} if sampler == "tpe" else {}
    study = optuna.create_study(sampler=SAMPLERS[sampler](seed=SEED, **kwargs))
    study.optimize(objective, n_trials=TRIALS)
    return [ms for trial in study.trials for ms in trial.user_attrs[TIMES]]


def main() -> None:
    """Measure and print."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = []
    with serving(TUNER_ALLOWED_CODE="benchmarks") as (client, _, _):
        for sampler in SAMPLERS:
            ours, theirs = _through_the_service(client, sampler), _in_optuna(sampler)
            rows.append(
                (
                    sampler,
                    len(ours),
                    f"{median(ours):.2f}",
                    f"{median(theirs):.2f}",
                    f"{median(ours) - median(theirs):.2f}",
                    f"{quantile(ours, 0.99):.1f}",
                    f"{quantile(theirs, 0.99):.1f}",
                )
            )
    print(surroundings())
    header = (
        "sampler",
        "calls",
        "service, ms",
        "Optuna, ms",
        "added, ms",
        "service p99",
        "Optuna p99",
    )
    print(table(header, rows))


if __name__ == "__main__":
    main()
