"""What a command reports: lines of JSON that it appends to a file, read as they come.

A line is an object of numbers, ``{"step": 3, "loss": 0.1}``; without a ``step`` it is that of the
next one. What is no such line is ignored and told of.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tuner.errors import TunerError

#: Of one line; a report is a handful of numbers.
MOST_LINE_BYTES: Final = 1 << 16
#: Of all lines of a trial.
MOST_BYTES: Final = 1 << 24
#: As large as the database's column.
MOST_STEP: Final = 2**31 - 1
_READ_BYTES: Final = 1 << 16


class ReportsTooLong(TunerError):
    """The command has written more than it may."""

    def __init__(self) -> None:
        super().__init__(
            f"The command wrote more than {MOST_BYTES >> 20} MiB of reports to TUNER_METRICS; "
            "report once an epoch or so."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The metrics of one step."""

    step: int
    metrics: Mapping[str, float]


class _Ignored(ValueError):
    """The line is no report, for this reason."""


class Reports:
    """Reads a trial's reports, of its earlier attempts too, each once and by rising steps."""

    def __init__(self, path: Path, remark: Callable[[str], None]) -> None:
        """`remark` is told of the first line of each kind that is ignored."""
        self._path = path
        self._remark = remark
        self._offset = 0
        self._total = 0
        #: The line whose end has not come.
        self._part = b""
        self._last = -1
        #: How many lines were ignored, and why.
        self.ignored: dict[str, int] = {}

    def begin(self) -> None:
        """Have a file that ends with a whole line: an attempt that was killed may have left less.

        Raises:
            OSError: the file cannot be written.
        """
        with self._path.open("ab+") as file:
            file.seek(0)
            content = file.read(MOST_BYTES)
            file.truncate(content.rfind(b"\n") + 1)

    def new(self, *, ended: bool = False) -> Iterator[Report]:
        """What was reported since the last call; where the command has `ended`, all of it.

        Raises:
            ReportsTooLong: it has written too much.
        """
        while data := self._read():
            *lines, self._part = (self._part + data).split(b"\n")
            for line in lines:
                yield from self._report(line)
            if len(self._part) > MOST_LINE_BYTES:
                self._part = self._part[: MOST_LINE_BYTES + 1]  # enough to know it by
        if ended:
            part, self._part = self._part, b""
            yield from self._report(part)

    def _read(self) -> bytes:
        try:
            size = self._path.stat().st_size
            if size < self._offset:
                self._ignore("the file was cut; open it to append", b"")
                self._offset, self._part = 0, b""
            if size == self._offset:
                return b""
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_READ_BYTES)
        except FileNotFoundError:
            return b""
        self._offset += len(data)
        self._total += len(data)
        if self._total > MOST_BYTES:
            raise ReportsTooLong
        return data

    def _report(self, line: bytes) -> Iterator[Report]:
        if not line.strip():
            return
        try:
            report = self._parsed(line)
        except _Ignored as why:
            self._ignore(str(why), line)
        else:
            self._last = report.step
            yield report

    def _parsed(self, line: bytes) -> Report:
        if len(line) > MOST_LINE_BYTES:
            raise _Ignored(f"longer than {MOST_LINE_BYTES >> 10} KiB")
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _Ignored("no JSON") from error
        if not isinstance(values, dict):
            raise _Ignored("no JSON object")
        step = values.pop("step", None)
        if step is None:
            step = max(self._last, 0) + 1
        if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= MOST_STEP:
            raise _Ignored(f"its step is no whole number from 0 to {MOST_STEP}")
        metrics = {_name(name): _number(value) for name, value in values.items()}
        if not metrics:
            raise _Ignored("no metric in it")
        if step <= self._last:
            raise _Ignored("its step is not above that of an earlier line, which stays")
        return Report(step=step, metrics=metrics)

    def _ignore(self, why: str, line: bytes) -> None:
        if why not in self.ignored:
            shown = line[:80].decode(errors="replace")
            self._remark(f"a line of TUNER_METRICS is ignored: {why}: {shown}")
        self.ignored[why] = self.ignored.get(why, 0) + 1


def _name(name: str) -> str:
    if not name.isprintable():
        raise _Ignored("a metric's name is not printable")
    return name


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Ignored("a metric is no number")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
