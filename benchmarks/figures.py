"""Medians, intervals and tables."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime


def quantile(samples: Iterable[float], share: float) -> float:
    """The value below which this share of the samples lies."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


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
