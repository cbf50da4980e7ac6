"""Medians, intervals and tables."""

import os
import platform
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from statistics import median


def quantile(samples: Iterable[float], share: float) -> float:
    """The value below which this share of the samples lies."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def interval(samples: Sequence[float], *, draws: int = 2000) -> tuple[float, float]:
    """A 95 % interval of the median, by resampling: the percentile bootstrap.

    The same samples have the same interval. Of fewer than five it is little more than their range.
    """
    rng = random.Random(0)
    medians = sorted(median(rng.choices(samples, k=len(samples))) for _ in range(draws))
    return medians[round(0.025 * (draws - 1))], medians[round(0.975 * (draws - 1))]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def surroundings() -> str:
    """When, on what, and how busy it was: the line above every table."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    day = datetime.now(UTC).date()
    return f"{day}, Python {platform.python_version()}, {os.cpu_count()} cores, load {load}"
