"""Where a Gaussian process expects the greatest improvement."""

from collections.abc import Container
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tuner.search.columns import Columns, keys
from tuner.search.gaussian import Process, fitted, known, log_improvement

Array = NDArray[np.float64]

#: A process is fitted anew once there are so many times the trials of its last fit.
GROWTH: Final = 1.1
#: Candidates: spread over the space, beside each of the best, and how many times beside those.
SPREAD: Final = 400
BESIDE: Final = 60
BEST: Final = 3
ROUNDS: Final = 2


class Improver:
    """Proposes rows by one process, which is fitted anew as trials end."""

    def __init__(self, columns: Columns, rng: np.random.Generator) -> None:
        self._columns = columns
        self._rng = rng
        self._theta: Array | None = None
        self._fitted_to = 0

    def row(self, rows: Array, scores: Array, running: Array, tried: Container[bytes]) -> Array:
        """The row that promises most, of those whose key is not in `tried` if there is one.

        What is `running` is taken to come out as the process expects, and draws nothing near it.
        """
        process = self._process(rows, scores, running)
        lowest = float(process.predict(self._columns.features(rows))[0].min())
        near = rows[np.argsort(scores, kind="stable")[:BEST]]
        spread = self._columns.rows(self._rng.random((SPREAD, rows.shape[1])))
        found = np.concatenate([spread, self._beside(near)])
        gains = self._gains(process, found, lowest, tried)
        for _ in range(ROUNDS):
            near = found[np.argsort(-gains, kind="stable")[:BEST]]
            more = self._beside(near)
            found = np.concatenate([found, more])
            gains = np.append(gains, self._gains(process, more, lowest, tried))
        best: Array = found[np.argmax(gains)]
        return best

    def _process(self, rows: Array, scores: Array, running: Array) -> Process:
        features, owners = self._columns.features(rows), self._columns.owners
        if self._theta is None or len(rows) >= GROWTH * self._fitted_to:
            self._theta = fitted(features, scores, owners, self._theta)
            self._fitted_to = len(rows)
        process = known(features, scores, owners, self._theta)
        if not len(running):
            return process
        there = self._columns.features(running)
        believed = np.append(scores, process.predict(there)[0])
        return known(np.concatenate([features, there]), believed, owners, self._theta)

    def _beside(self, rows: Array) -> Array:
        return np.concatenate([self._columns.neighbours(self._rng, row, BESIDE) for row in rows])

    def _gains(
        self, process: Process, rows: Array, lowest: float, tried: Container[bytes]
    ) -> Array:
        gains = log_improvement(*process.predict(self._columns.features(rows)), lowest)
        gains[[key in tried for key in keys(rows)]] = -np.inf
        return gains
