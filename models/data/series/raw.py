"""Series as they were measured, of one or several channels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.data.tables.values import Floats

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Series one after another, since they may differ in length."""

    #: What is measured, by name.
    channels: tuple[str, ...]
    #: (channels, places of all series); NaN where a value is missing.
    values: Floats
    #: Of each series (N,); none is 0.
    lengths: Integers

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def longest(self) -> int:
        """Places of the longest series."""
        return int(self.lengths.max())

    @property
    def owners(self) -> Integers:
        """The series that each place is of."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def places(self) -> Integers:
        """Where in its series each place is, from 0."""
        starts = np.cumsum(self.lengths) - self.lengths
        return np.arange(self.values.shape[1]) - np.repeat(starts, self.lengths)

    def then(self, others: "Series") -> "Series":
        """These series and after them those of `others`, which have as many channels."""
        return Series(
            channels=self.channels,
            values=np.concatenate([self.values, others.values], axis=1),
            lengths=np.concatenate([self.lengths, others.lengths]),
        )
