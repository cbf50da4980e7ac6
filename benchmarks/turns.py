"""Ways to do the same work that take turns, so that a slow machine slows all of them."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from statistics import median

from benchmarks.figures import interval


@dataclass(frozen=True, slots=True)
class Work:
    """Epochs of trials that were done, counted one by one, and how long they took."""

    trial_epochs: int
    seconds: float

    def __add__(self, other: "Work") -> "Work":
        return Work(self.trial_epochs + other.trial_epochs, self.seconds + other.seconds)

    @property
    def rate(self) -> float:
        """Trial-epochs a second."""
        return self.trial_epochs / self.seconds


Way = Callable[[], Work]


def take_turns(
    ways: Mapping[str, Way],
    *,
    blocks: int,
    until: float = float("inf"),
    once: Collection[str] = (),
) -> dict[str, list[Work]]:
    """What each way did in each block. In a block all take a turn, and another in reverse order.

    So nobody gains from a machine that becomes faster or slower. Those in `once`, whose start is
    long, take one, in the middle. No block but the first begins after `until`, on
    `time.monotonic`.
    """
    twice = [name for name in ways if name not in once]
    order = [*twice, *(name for name in ways if name in once), *reversed(twice)]
    done: dict[str, list[Work]] = {name: [] for name in ways}
    for block in range(blocks):
        if block > 0 and time.monotonic() > until:
            break
        turns: dict[str, list[Work]] = {name: [] for name in ways}
        for name in order:
            turns[name].append(ways[name]())
        for name, works in turns.items():
            done[name].append(reduce(Work.__add__, works))
    return done


def ratios(works: Sequence[Work], base: Sequence[Work]) -> list[float]:
    """How many times the base's rate, block by block."""
    return [work.rate / its.rate for work, its in zip(works, base, strict=True)]


def compared(works: Sequence[Work], base: Sequence[Work]) -> tuple[str, str, str]:
    """Cells of a table: trial-epochs a second, ÷ the base's, and its 95 % interval."""
    found = ratios(works, base)
    low, high = interval(found)
    rate = median(work.rate for work in works)
    return (
        f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}",
        f"{median(found):.2f}×",
        span(low, high),
    )


def span(low: float, high: float) -> str:
    """An interval in words."""
    return f"{low:.2f} … {high:.2f}"
