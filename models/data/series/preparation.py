"""All that was learned from the training series, by which raw series become inputs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.catalog import DataRefused
from models.data.series.of_rows import series_of_rows
from models.data.series.raw import Series
from models.data.series.ts_file import read_ts
from models.data.tables.columns import Target, as_json, target_in_words
from models.data.tables.preparation import FARTHEST, read_columns
from models.data.tables.reading import check_free

Inputs = npt.NDArray[np.float32]

#: Of a place of a channel: of the inputs, and of a division's copy of them.
BYTES_PER_PLACE: Final = 8
#: Of more channels the statistics are not told one by one.
MOST_TOLD: Final = 20
_FORMAT: Final = "tuner-series-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What is measured, and the training series' mean and deviation of it."""

    name: str
    mean: float
    std: float
    #: Share of the training series' values.
    missing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPreparation:
    """How raw series become inputs and outputs become answers.

    Means and deviations are of the training series alone.
    """

    channels: tuple[Channel, ...]
    #: Places of every input: those of the longest series that was divided.
    length: int
    #: Whether one more channel tells, by 1 in place of 0, where a value is missing or the series
    #: has ended; so where any of the series that were divided has such places.
    flagged: bool
    target: Target
    #: Columns of a table that tell a row's series, and order its rows; None for a .ts file.
    series: str | None = None
    time: str | None = None

    @property
    def input_shape(self) -> tuple[int, int]:
        """(channels, length), the channel of flags among them."""
        return len(self.channels) + self.flagged, self.length

    def inputs(
        self, rows: pa.Table | Path | Series, *, available_bytes: int | None = None
    ) -> Inputs:
        """Raw series as inputs (N, channels, length), in the order in which they begin.

        Values are standardised; where one is missing, and past a series' end, stands 0. What is
        longer than `length` loses its end.

        Raises:
            DataRefused: a channel is absent, a value is no number, or they take more memory than
                `available_bytes`, or, where None, than the host has free.
        """
        series = rows if isinstance(rows, Series) else self._read(rows)
        self._check_memory(len(series), available_bytes)
        inputs = np.zeros((len(series), *self.input_shape), dtype=np.float32)
        if self.flagged:
            inputs[:, -1] = 1
        kept = series.places < self.length
        owners, places = series.owners[kept], series.places[kept]
        for at, (channel, values) in enumerate(zip(self.channels, series.values, strict=True)):
            scaled = (values[kept] - channel.mean) / channel.std
            inputs[owners, at, places] = np.nan_to_num(scaled.clip(-FARTHEST, FARTHEST))
        if self.flagged:
            inputs[owners, -1, places] = np.isnan(series.values[:, kept]).any(axis=0)
        return inputs

    def to_json(self) -> dict[str, Any]:
        """A document of plain values, from which `from_json` makes an equal preparation."""
        return {
            "format": _FORMAT,
            "channels": [asdict(channel) for channel in self.channels],
            "length": self.length,
            "flagged": self.flagged,
            "target": as_json(self.target),
            "series": self.series,
            "time": self.time,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "SeriesPreparation":
        """The preparation that `to_json` wrote.

        Raises:
            ValueError: it is another document.
        """
        fields = dict(document)
        if fields.pop("format", None) != _FORMAT:
            raise ValueError(f"no preparation of series, but {document.get('format')!r}")
        fields["channels"] = tuple(Channel(**channel) for channel in fields["channels"])
        fields["target"] = Target.from_json(fields["target"])
        return cls(**fields)

    def sentences(self) -> tuple[str, ...]:
        """Target, channels and length in words, for people."""
        note = f" ({self.target.note})" if self.target.note else ""
        target = (
            f"Target {self.target.name!r} ({self.target.type}): "
            f"{target_in_words(self.target)}{note}."
        )
        flags = (
            " One more channel is 1 where a value is missing or the series has ended; what is "
            "missing is 0."
            if self.flagged
            else ""
        )
        length = f"A series has {self.length} places; what is longer loses its end.{flags}"
        told = [_in_words(channel) for channel in self.channels[:MOST_TOLD]]
        more = len(self.channels) - len(told)
        rest = [f"{more} more channels are standardised alike."] if more else []
        return (target, *told, *rest, length)

    def _read(self, rows: pa.Table | Path) -> Series:
        if isinstance(rows, Path) and is_ts(rows):
            return self._read_ts(rows)
        if self.series is None:
            raise DataRefused(
                f"The network was trained with a .ts file of {len(self.channels)} channels, and "
                "takes such files only; write the series into one."
            )
        names = [channel.name for channel in self.channels]
        used = [self.series, *([self.time] if self.time else []), *names]
        table = read_columns(rows, used) if isinstance(rows, Path) else rows
        return series_of_rows(table, names, series=self.series, time=self.time).series

    def _read_ts(self, path: Path) -> Series:
        series = read_ts(path).series
        if len(series.channels) != len(self.channels):
            raise DataRefused(
                f"{path.name} has series of {len(series.channels)} channels; the network was "
                f"trained with {len(self.channels)}: {_listed(self.channels)}."
            )
        return series

    def _check_memory(self, count: int, available_bytes: int | None) -> None:
        channels, length = self.input_shape
        check_free(
            count * channels * length * BYTES_PER_PLACE,
            f"{count:,} series of {channels} channels, each as long as the longest, "
            f"{length:,} places, take",
            "take fewer or shorter series",
            available_bytes,
        )


def is_ts(path: Path) -> bool:
    """Whether it is called so: .ts, or .ts.gz."""
    return ".ts" in path.suffixes


def _listed(channels: tuple[Channel, ...]) -> str:
    shown = ", ".join(channel.name for channel in channels[:8])
    return shown + (", …" if len(channels) > 8 else "")


def _in_words(channel: Channel) -> str:
    missing = f", {channel.missing:.1%} missing" if channel.missing else ""
    return (
        f"Channel {channel.name!r} (number{missing}): standardised, mean {channel.mean:.4g} and "
        f"deviation {channel.std:.4g} in the training series."
    )
