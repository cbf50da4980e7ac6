"""A Gaussian process over rows of numbers, in NumPy: no PyTorch where trials are proposed.

Matérn 5/2 with a length scale for each parameter, fitted by maximum a posteriori. Values are
sought low.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import ndtr

Array = NDArray[np.float64]

#: Steps of a fit: it starts where the one before ended, and needs few.
MOST_STEPS: Final = 15
#: A priori, of the logarithms of weights and noise: the deviations, and the noise's mean.
SPREAD_OF_WEIGHTS: Final = 1.5
SPREAD_OF_NOISE: Final = 2.0
USUAL_NOISE: Final = -6.0
#: In between the logarithms are sought; with less noise a matrix might not be inverted.
BOUNDS_OF_WEIGHTS: Final = (-9.0, 6.0)
BOUNDS_OF_NOISE: Final = (-13.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that was fitted to rows and their values."""

    rows: Array
    #: The logarithms: of the inverse squared length scale of each parameter, then of the noise.
    theta: Array
    #: Which parameter each column belongs to.
    owners: NDArray[np.intp]
    #: The lower triangle whose square is the covariance of the values, its inverse times them, and
    #: what the covariance of 1 stands for.
    factor: Array
    answer: Array
    variance: float

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at `rows`, without noise."""
        cross = _matern(_squared(self.rows, rows, self.theta, self.owners))
        half = solve_triangular(self.factor, cross, lower=True, check_finite=False)
        left = np.maximum(1.0 - np.einsum("ij,ij->j", half, half), 1e-10)
        return self.answer @ cross, np.sqrt(self.variance * left)


def fitted(rows: Array, values: Array, owners: NDArray[np.intp], start: Array | None) -> Array:
    """The `theta` that explains `values`, of mean 0 and variance 1, best; sought from `start`."""
    count = int(owners.max()) + 1
    usual = np.append(np.full(count, usual_weight(count)), USUAL_NOISE)
    found = minimize(
        _loss,
        usual if start is None else start,
        args=(rows, values, owners, usual),
        jac=True,
        method="L-BFGS-B",
        bounds=[BOUNDS_OF_WEIGHTS] * count + [BOUNDS_OF_NOISE],
        options={"maxiter": MOST_STEPS},
    )
    return np.asarray(found.x, dtype=np.float64)


def known(rows: Array, values: Array, owners: NDArray[np.intp], theta: Array) -> Process:
    """The process of this `theta` that knows `values`."""
    covariance = _matern(_squared(rows, rows, theta, owners))
    covariance[np.diag_indices_from(covariance)] += np.exp(theta[-1])
    factor = cholesky(covariance, lower=True, check_finite=False)
    answer = cho_solve((factor, True), values, check_finite=False)
    return Process(
        rows=rows,
        theta=theta,
        owners=owners,
        factor=factor,
        answer=answer,
        variance=float(values @ answer) / len(values),
    )


def usual_weight(count: int) -> float:
    """A priori mean of the weights' logarithm.

    Rows lie further apart the more parameters there are, and so does what is alike.
    """
    return float(-2.0 * np.log(0.5) - 0.5 * np.log(count))


def log_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """The logarithm of how far below `best` a value is expected to come."""
    z = (best - mean) / deviation
    log_density = -0.5 * z * z - 0.5 * np.log(2.0 * np.pi)
    near = np.maximum(z, -5.0)
    direct = np.log(np.exp(-0.5 * near * near) / np.sqrt(2.0 * np.pi) + near * ndtr(near))
    # Further down the sum would cancel: there its asymptote.
    far = log_density - 2.0 * np.log(np.maximum(-z, 1.0))
    return np.asarray(np.where(z > -5.0, direct, far) + np.log(deviation))


def _squared(a: Array, b: Array, theta: Array, owners: NDArray[np.intp]) -> Array:
    """The weighted squared distances between the rows of `a` and of `b`."""
    lengths = np.exp(0.5 * theta[:-1])[owners]
    a, b = a * lengths, b * lengths
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(squares, 0.0))


def _matern(squared: Array) -> Array:
    r = np.sqrt(5.0 * squared)
    return np.asarray((1.0 + r + r * r / 3.0) * np.exp(-r))


def _loss(
    theta: Array, rows: Array, values: Array, owners: NDArray[np.intp], usual: Array
) -> tuple[float, Array]:
    """The negative logarithm of the posterior and its gradient.

    The variance is the likeliest for each `theta`, and so none of the unknowns.
    """
    count, noise = len(values), float(np.exp(theta[-1]))
    r = np.sqrt(5.0 * _squared(rows, rows, theta, owners))
    decay = np.exp(-r)
    covariance = (1.0 + r + r * r / 3.0) * decay
    covariance[np.diag_indices_from(covariance)] += noise
    factor = cholesky(covariance, lower=True, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(count), check_finite=False)
    answer = inverse @ values
    energy = float(values @ answer)
    loss = 0.5 * count * np.log(energy / count) + float(np.log(np.diag(factor)).sum())
    outer = 0.5 * (inverse - np.outer(answer, answer) * (count / energy))
    # Of the squared distances; those of one column add up without being written out.
    slope = outer * (1.0 + r) * decay * (-5.0 / 6.0)
    columns = 2.0 * ((rows * rows) * slope.sum(axis=1)[:, None] - rows * (slope @ rows)).sum(axis=0)
    gradient = np.empty_like(theta)
    gradient[:-1] = np.exp(theta[:-1]) * np.bincount(owners, columns, len(theta) - 1)
    gradient[-1] = noise * float(np.trace(outer))
    spread = np.append(np.full(len(theta) - 1, SPREAD_OF_WEIGHTS), SPREAD_OF_NOISE)
    away = (theta - usual) / spread
    return loss + 0.5 * float(away @ away), np.asarray(gradient + away / spread)
