"""The .ts files of the time series archives (www.timeseriesclassification.com, "File formats").

A header of lines that begin with ``@`` ends with ``@data``; each line after it is a series. Its
channels, which the format calls dimensions, are parted by colons, their values by commas; the class
or the number to predict comes last.
"""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TextIO

import numpy as np

from models.catalog import DataRefused
from models.data.series.raw import Series
from models.data.tables.reading import check_free, unpacked_bytes

#: Of a value, at the worst moment: as a number of Python's, in an array, and padded twice.
BYTES_PER_VALUE: Final = 32
_SAMPLE: Final = 1 << 16
_COMMENTS: Final = ("#", "%")
#: A value with the time at which it was measured, which is passed over.
_STAMPED: Final = re.compile(r"\([^()]*,([^(),]*)\)")
_EXAMPLE: Final = "1.5,2.0,1.8:walking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the lines before ``@data`` say; None where they do not."""

    target: Literal["classes", "number", "none"]
    classes: tuple[str, ...] = ()
    channels: int | None = None
    length: int | None = None
    equal_length: bool = False
    stamped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TsFile:
    """All of a file."""

    header: Header
    series: Series
    #: What is predicted (N,): a class as text, or a number; empty where the file does not tell.
    targets: tuple[str, ...] | tuple[float, ...]


def read_ts(path: Path, *, available_bytes: int | None = None) -> TsFile:
    """The series of a .ts file, or one packed with gzip, .ts.gz.

    Raises:
        DataRefused: the file is no such, a line of it is wrong, or it is too large.
    """
    with _opened(path) as file:
        lines = ((number, line.strip()) for number, line in enumerate(file, 1))
        lines = ((n, line) for n, line in lines if line and not line.startswith(_COMMENTS))
        header = _header(path.name, lines)
        _check_size(path, available_bytes)
        return _Reader(name=path.name, header=header).read(lines)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        packed = path.suffix == ".gz"
        with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig") as file:
            yield file
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataRefused(
            f"{path.name} cannot be read as text: {error}; write the file anew."
        ) from error


def _check_size(path: Path, available_bytes: int | None) -> None:
    """Values are counted in a part from the file's beginning."""
    with _opened(path) as file:
        sample = file.read(_SAMPLE)
    share = (sample.count(",") + sample.count(":")) / max(1, len(sample))
    values = int(share * unpacked_bytes(path))
    check_free(
        values * BYTES_PER_VALUE,
        f"{path.name} has about {values:,} values, which take",
        "take fewer or shorter series",
        available_bytes,
    )


def _header(name: str, lines: Iterable[tuple[int, str]]) -> Header:
    """All up to ``@data``, the letters' case aside."""
    said: dict[str, list[str]] = {}
    for number, line in lines:
        if not line.startswith("@"):
            raise DataRefused(
                f"Line {number} of {name} is {line[:40]!r}, but a .ts file begins with a header of "
                "lines such as @univariate true, which ends with @data; write one."
            )
        key, *words = line.split()
        if key.lower() == "@data":
            return _said(name, said)
        said[key[1:].lower()] = words
    raise DataRefused(
        f"{name} has no line @data, after which the series are; write a header that ends with it."
    )


def _said(name: str, said: dict[str, list[str]]) -> Header:
    def flag(*keys: str) -> bool:
        return any(said.get(key, [""])[0].lower() == "true" for key in keys if said.get(key))

    target: Literal["classes", "number", "none"] = "none"
    classes = tuple(said.get("classlabel", ())[1:])
    if flag("classlabel"):
        target = "classes"
        if not classes:
            raise DataRefused(
                f"{name} has @classLabel true without names; write the classes after it: "
                "@classLabel true a b."
            )
    elif flag("targetlabel"):
        target = "number"
    channels = _count(name, said, "dimensions", "dimension")
    return Header(
        target=target,
        classes=classes if target == "classes" else (),
        channels=1 if channels is None and flag("univariate") else channels,
        length=_count(name, said, "serieslength"),
        equal_length=flag("equallength"),
        stamped=flag("timestamps"),
    )


def _count(name: str, said: dict[str, list[str]], *keys: str) -> int | None:
    for key in keys:
        if key in said:
            word = " ".join(said[key])
            if not word.isdecimal() or int(word) < 1:
                raise DataRefused(f"{name} has @{key} {word!r}; write a number of at least 1.")
            return int(word)
    return None


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Reads the lines after a header."""

    name: str
    header: Header
    channels: int | None = None
    length: int | None = None
    values: list[np.ndarray] = field(default_factory=list)
    targets: list[str | float] = field(default_factory=list)

    def read(self, lines: Iterable[tuple[int, str]]) -> TsFile:
        self.channels = self.header.channels
        self.length = self.header.length if self.header.equal_length else None
        for number, line in lines:
            self._take(number, line)
        if not self.values:
            raise DataRefused(
                f"{self.name} has no series after @data; add lines such as {_EXAMPLE}."
            )
        values = np.concatenate(self.values, axis=1)
        values[~np.isfinite(values)] = np.nan
        series = Series(
            channels=("value",) if self.channels == 1 else self._numbered(),
            values=values,
            lengths=np.array([part.shape[1] for part in self.values], dtype=np.int64),
        )
        targets: tuple[str, ...] | tuple[float, ...] = tuple(self.targets)  # type: ignore[assignment]
        return TsFile(header=self.header, series=series, targets=targets)

    def _numbered(self) -> tuple[str, ...]:
        return tuple(f"dimension {i}" for i in range(1, (self.channels or 0) + 1))

    def _take(self, number: int, line: str) -> None:
        """One series."""
        where = f"Line {number} of {self.name}"
        if self.header.stamped:
            line = _STAMPED.sub(r"\1", line)
        parts = line.split(":")
        target = parts.pop().strip() if self.header.target != "none" else ""
        self._check_channels(where, len(parts))
        rows = [_numbers(where, i, part) for i, part in enumerate(parts, 1)]
        for i, row in enumerate(rows, 1):
            if len(row) != len(rows[0]):
                raise DataRefused(
                    f"{where} has {len(row)} values in dimension {i} and {len(rows[0])} in "
                    "dimension 1; write as many, ? where one is missing."
                )
        self._check_length(where, len(rows[0]))
        self.values.append(np.array(rows))
        if self.header.target != "none":
            self.targets.append(self._target(where, target))

    def _check_channels(self, where: str, channels: int) -> None:
        if self.channels is None and channels:
            self.channels = channels
        if channels != self.channels:
            ends = "" if self.header.target == "none" else " and what is predicted"
            raise DataRefused(
                f"{where} has {channels} dimensions where {self.channels or 1} are due; write "
                f"these, parted by colons{ends}."
            )

    def _check_length(self, where: str, length: int) -> None:
        if not self.header.equal_length:
            return
        if self.length is None:
            self.length = length
        if length != self.length:
            raise DataRefused(
                f"{where} has {length} values where @equalLength makes {self.length} due; correct "
                "the line, or write @equalLength false."
            )

    def _target(self, where: str, word: str) -> str | float:
        if self.header.target == "classes":
            if word not in self.header.classes:
                raise DataRefused(
                    f"{where} is of class {word!r}, which @classLabel does not name; it names "
                    f"{', '.join(self.header.classes[:10])}."
                )
            return word
        try:
            value = float(word)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise DataRefused(
                f"{where} ends with {word!r}, where the number to predict is due; fill it in, or "
                "remove the line."
            )
        return value


def _numbers(where: str, dimension: int, text: str) -> list[float]:
    """The values of a channel; NaN for ?, and for what is infinite."""
    if not text.strip():
        raise DataRefused(f"{where} has no values in dimension {dimension}; remove the line.")
    words = text.replace("?", "nan").split(",")
    try:
        return list(map(float, words))
    except ValueError:
        wrong = next(word for word in words if not _is_number(word))
        raise DataRefused(
            f"{where} has {wrong.strip()!r} in dimension {dimension}, where a number is due; "
            "write ? if it is missing."
        ) from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
