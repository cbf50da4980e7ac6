"""What was broken on purpose, how often, and what was counted: kept and shown in `docs/`.

A run with `--faults` counts; whatever it did not run keeps the row of the run before it.
"""

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, Final

from tuner.db import Database

BEGIN: Final = "<!-- counted: by `make faults`, not by hand -->"
END: Final = "<!-- end of what was counted -->"
_HEAD: Final = (
    "| fault | on | injected | counted | when, and on what |\n| --- | --- | --- | --- | --- |"
)
_NOT_YET: Final = "not counted yet"

SQLITE: Final = "SQLite"
POSTGRES: Final = "PostgreSQL"
_BOTH: Final = (SQLITE, POSTGRES)
#: What is injected, in the page's order, and on what.
FAULTS: Final[Mapping[str, Sequence[str]]] = {
    "workers killed and stopped, schedulers killed, at random moments": _BOTH,
    "every process of a server killed at once, the database's too": _BOTH,
    "leaders of 2 to 4 schedulers killed": _BOTH,
    "leaders of 2 to 4 schedulers told to stop": _BOTH,
    "leaders stopped, continued after their job's end": (POSTGRES,),
    "leaders stopped, continued while another leads": (POSTGRES,),
    "leaders stopped and continued, which lead on": (SQLITE,),
    "schedulers killed amid the work of their workers": _BOTH,
    "attempts made to end for each reason there is": (SQLITE,),
    "odd results: NaN, infinities, texts, wrong lengths": ("the worker",),
    "checkpoints damaged: a bit flipped, or cut off": ("a folder", "memory", "S3"),
    "a disk of 2 MB that is full amid a checkpoint": ("a folder",),
    "the database restarted: every other time without a shutdown": (POSTGRES,),
    "the database of `tuner serve` restarted": (POSTGRES,),
    "commits cut off, carried out or not": (POSTGRES,),
    "the file locked by somebody else for 10 s": (SQLITE,),
    "jobs submitted by eight writers at once": _BOTH,
    "keys submitted by fifty threads at once": _BOTH,
    "the time of day set by a day, forth or back": (SQLITE,),
    "the time of leadership set by a day, forth or back": (POSTGRES,),
    "servers told to stop under load": (SQLITE,),
    "clients that ask for events and take none": ("the api",),
    "migrations killed at a statement, of an empty database": _BOTH,
    "migrations killed at a statement, of an older version's database": _BOTH,
    "random histories of the scheduler's core": ("the scheduler's core",),
}


@dataclass(slots=True)
class Count:
    """How often a fault was injected, and what came of it."""

    injected: int = 0
    #: Numbers are sums; texts are shown as they are.
    found: dict[str, int | str] = field(default_factory=dict)
    #: What did not hold, if anything.
    broken: str | None = None
    seconds: float = 0.0
    _times: dict[str, list[float]] = field(default_factory=dict)

    def add(self, injected: int = 0, **found: int) -> None:
        """Add to the numbers; an underscore in a name is shown as a blank."""
        self.injected += injected
        for name, number in found.items():
            before = self.found.get(name, 0)
            assert isinstance(before, int)
            self.found[name] = before + number

    def tell(self, **texts: str) -> None:
        """What is no sum."""
        self.found.update(texts)

    def took(self, name: str, seconds: float) -> None:
        """One more duration of those whose median and maximum are shown."""
        times = self._times.setdefault(name, [])
        times.append(seconds)
        self.tell(**{name: f"{median(times):.1f} s (median; at most {max(times):.1f} s)"})


class Counts:
    """The counts of one session of tests; written to a folder, or to nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._counts: dict[tuple[str, str], Count] = {}

    @contextmanager
    def __call__(self, fault: str, on: Database | str) -> Iterator[Count]:
        """Count a fault, one of `FAULTS`; what is counted in several tests is added up.

        The row is written at the end, also where the test fails: it then says how.
        """
        place = _place_of(on)
        if place not in FAULTS.get(fault, ()):
            raise KeyError(f"{fault!r} is not injected on {place}.")
        count = self._counts.setdefault((fault, place), Count())
        began = time.monotonic()
        try:
            yield count
        except KeyboardInterrupt:
            raise  # somebody broke the run off: the row of the run before stays
        except BaseException as error:
            count.broken = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            self._keep(fault, place, count, began)
            raise
        self._keep(fault, place, count, began)

    def _keep(self, fault: str, place: str, count: Count, began: float) -> None:
        count.seconds += time.monotonic() - began
        if self._folder is not None:
            _keep(self._folder, fault, place, _row(count))


def _place_of(on: Database | str) -> str:
    if isinstance(on, str):
        return on
    return POSTGRES if on.engine.dialect.name == "postgresql" else SQLITE


def _row(count: Count) -> dict[str, Any]:
    load = os.getloadavg()[1]
    return {
        "injected": count.injected,
        "found": count.found,
        "broken": count.broken,
        "when": f"{date.today()}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {load:.0f}, {count.seconds:,.0f} s",
    }


def _keep(folder: Path, fault: str, place: str, row: Mapping[str, Any]) -> None:
    """Put a row among those of earlier runs, and show them all; one process at a time does."""
    with (folder / "reliability.json").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        rows = json.load(file)
        rows.setdefault(fault, {})[place] = row
        file.seek(0)
        json.dump(rows, file, indent=1)
        file.write("\n")
        file.truncate()
        file.flush()
        page = folder / "reliability.md"
        page.write_text(shown(page.read_text(), rows))


def shown(page: str, rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The page with these rows between its marks; every fault has one, counted or not."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    lines = [
        _line(fault, place, rows.get(fault, {}).get(place))
        for fault, places in FAULTS.items()
        for place in places
    ]
    return "\n".join([f"{before}{BEGIN}", _HEAD, *lines, f"{END}{after}"])


def _line(fault: str, place: str, row: Mapping[str, Any] | None) -> str:
    if row is None:
        cells = [fault, place, "0", _NOT_YET, ""]
    else:
        found = [f"{name.replace('_', ' ')}: {_plain(it)}" for name, it in row["found"].items()]
        if row["broken"]:
            found.append(f"**did not hold**: {row['broken'].replace('|', '/')}")
        cells = [fault, place, _plain(row["injected"]), "; ".join(found), row["when"]]
    return f"| {' | '.join(cells)} |"


def _plain(value: int | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"
