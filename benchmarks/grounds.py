"""What it brings to import a job's code once, and not in every worker.

Attempts that import Lightning and do nothing else, one after the other, by an executor: each worker
importing it itself, and each forked from a ground that has. Blocks in turns, a warm-up first.

Prints the median of an attempt from its start to its end by either way, and their ratio.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.figures import interval, surroundings, table
from tuner.executors.local import LocalExecutor
from tuner.protocol import Ended, StartAttempt
from tuner.trial import Context, Outcome

#: What the attempts import: a library as people use it.
MODULE: Final = "lightning"
BLOCKS: Final = 4
ATTEMPTS: Final = 4
_numbers: Final = count(1)


def imports(payload: Mapping[str, Any], context: Context) -> Outcome:
    """Import a module, and be done."""
    __import__(payload["module"])
    return Outcome.succeeded(0.0)


def _seconds(executor: LocalExecutor, ground: Mapping[str, Any] | None) -> Iterator[float]:
    for _ in range(ATTEMPTS):
        order = StartAttempt(
            attempt=next(_numbers),
            program="benchmarks.grounds:imports",
            payload={"module": MODULE},
            foreign=True,
            ground=ground,
        )
        began = time.perf_counter()
        executor.start(order)
        while not any(isinstance(event, Ended) for event in executor.poll(1.0)):
            pass
        yield time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    ways = {
        "each worker imports it": None,
        "forked from a ground": {"modules": [MODULE], "code": None},
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    with (
        tempfile.TemporaryDirectory(prefix="tuner-bench-") as folder,
        LocalExecutor(Path(folder), modules=["benchmarks.grounds"]) as executor,
    ):
        for block in range(1 + BLOCKS):
            for way, ground in ways.items():
                seconds = list(_seconds(executor, ground))
                if block:
                    found[way] += seconds
    print(surroundings())
    plain = median(found["each worker imports it"])
    rows = []
    for way, seconds in found.items():
        low, high = interval(seconds)
        rows.append(
            (
                way,
                f"{1e3 * median(seconds):.0f}",
                f"{1e3 * low:.0f} … {1e3 * high:.0f}",
                f"{plain / median(seconds):.0f}×",
            )
        )
    print(table(("way", "an attempt, ms", "95 % interval", "÷"), rows))


if __name__ == "__main__":
    main()
