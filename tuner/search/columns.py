"""Configurations as rows of numbers: what a model of them reckons with."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from models.hyperparameters import When

Array = NDArray[np.float64]

#: A neighbour differs in one parameter, and so often in a second one.
SECOND: Final = 0.3
#: How far from a value a neighbour's lies, as a share of the range: the one or the other.
STEPS: Final = (0.03, 0.2)


class Column:
    """One parameter: its number from 0 to 1 on its scale, or the index of its choice."""

    def __init__(self, distribution: BaseDistribution) -> None:
        self.distribution = distribution
        self.choices = 0
        #: Between two neighbouring values; 0 where there are any between two.
        self.cell = 0.0
        if isinstance(distribution, CategoricalDistribution):
            self.choices = len(distribution.choices)
            return
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        half = (distribution.step or 0.0) / 2
        self._low, self._high = distribution.low, distribution.high
        self._step, self._log = distribution.step, distribution.log
        ends = np.array([self._low - half, self._high + half])
        self._from, self._to = np.log(ends) if self._log else ends
        if self._step is not None:
            self.cell = 1.0 / (1 + round((self._high - self._low) / self._step))

    def number(self, value: Any) -> float:
        """The number of a value."""
        if self.choices:
            return self.distribution.to_internal_repr(value)
        scaled = np.log(value) if self._log else value
        return float((scaled - self._from) / (self._to - self._from))

    def value(self, number: float) -> Any:
        """The value of a number."""
        if self.choices:
            return self.distribution.to_external_repr(number)
        return self.distribution.to_external_repr(float(self._values(np.array([number]))[0]))

    def nearest(self, numbers: Array) -> Array:
        """The nearest numbers that stand for a value."""
        if self.choices or self._step is None:
            return numbers
        values = self._values(numbers)
        scaled = np.log(values) if self._log else values
        return np.asarray((scaled - self._from) / (self._to - self._from))

    def _values(self, numbers: Array) -> Array:
        scaled = self._from + np.clip(numbers, 0.0, 1.0) * (self._to - self._from)
        values = np.exp(scaled) if self._log else scaled
        if self._step is not None:
            values = self._low + np.round((values - self._low) / self._step) * self._step
        return np.asarray(np.clip(values, self._low, self._high))


class Columns:
    """The parameters of a space, a column each; what is inactive has one number always."""

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        conditions: Mapping[str, Sequence[When]] | None = None,
    ) -> None:
        self.distributions = dict(distributions)
        self._columns = {name: Column(d) for name, d in distributions.items()}
        self._list = list(self._columns.values())
        names = list(self._columns)
        self._when: list[tuple[int, list[tuple[int, Array]]]] = []
        for name, whens in (conditions or {}).items():
            needed = [
                (names.index(w.parameter), self._numbers(w)) for w in whens if w.parameter in names
            ]
            if name in self._columns and needed:
                self._when.append((names.index(name), needed))
        widths = [c.choices or 1 for c in self._list]
        #: Which parameter each column of `features` belongs to.
        self.owners = np.repeat(np.arange(len(widths)), widths)
        self._cells = np.array([c.cell for c in self._list])
        self._choices = np.array([c.choices for c in self._list])

    def _numbers(self, when: When) -> Array:
        column = self._columns[when.parameter]
        return np.array([column.number(value) for value in when.values])

    def row(self, params: Mapping[str, Any]) -> Array:
        """The row of a configuration."""
        row = np.array(
            [
                column.number(params[name]) if name in params else np.nan
                for name, column in self._columns.items()
            ]
        )
        return np.where(np.isnan(row), self._neutral(), row)

    def _neutral(self) -> Array:
        return np.where(self._choices > 0, 0.0, 0.5)

    def params(self, row: Array) -> dict[str, Any]:
        """The configuration of a row, inactive parameters included."""
        return {
            name: column.value(float(number))
            for (name, column), number in zip(self._columns.items(), row, strict=True)
        }

    def rows(self, uniform: Array) -> Array:
        """The rows of numbers that are spread evenly over [0, 1)."""
        choices = self._choices
        return self._tidy(np.where(choices > 0, np.floor(uniform * choices), uniform))

    def _tidy(self, rows: Array) -> Array:
        """Rows of values there are, in which nothing inactive tells them apart."""
        for index, column in enumerate(self._list):
            rows[:, index] = column.nearest(rows[:, index])
        neutral = self._neutral()
        active = np.ones(rows.shape, dtype=bool)
        for index, needed in self._when:
            for other, numbers in needed:
                met = np.isclose(rows[:, other, None], numbers).any(axis=1)
                active[:, index] &= met & active[:, other]
        return np.asarray(np.where(active, rows, neutral))

    def neighbours(self, rng: np.random.Generator, row: Array, count: int) -> Array:
        """As many rows that differ from `row` in a parameter or two."""
        width = len(row)
        changed = np.zeros((count, width), dtype=bool)
        each = np.arange(count)
        changed[each, rng.integers(width, size=count)] = True
        changed[each, rng.integers(width, size=count)] |= rng.random(count) < SECOND
        away = rng.normal(size=changed.shape) * rng.choice(STEPS, size=(count, 1))
        # At least to the next value, where values are counted.
        away = np.sign(away) * np.maximum(np.abs(away), self._cells)
        moved = np.clip(row + away, 0.0, 1.0)
        other = np.floor(rng.random(changed.shape) * np.maximum(self._choices - 1, 1))
        other += other >= row
        moved = np.where(self._choices > 0, other, moved)
        return self._tidy(np.where(changed, moved, row))

    def features(self, rows: Array) -> Array:
        """The rows in which each choice has a column, so that two choices are 1 apart."""
        parts = [
            (rows[:, i, None] == np.arange(c.choices)) / np.sqrt(2.0)
            if c.choices
            else rows[:, i, None]
            for i, c in enumerate(self._list)
        ]
        return np.concatenate(parts, axis=1)


def keys(rows: Array) -> list[bytes]:
    """A key for each row, equal for those of the same configuration."""
    return [row.tobytes() for row in np.round(rows, 9) + 0.0]
