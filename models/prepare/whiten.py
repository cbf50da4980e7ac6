"""Columns of numbers that go together, made to vary independently."""

import torch
from torch import Tensor, nn


class Whiten(nn.Module):
    """Turns columns so that none tells of another, and each varies alike; ZCA.

    Of all such turns it is the one that leaves each column nearest to what it was (Kessy, Lewin and
    Strimmer, The American Statistician 72(4), 2018). `whiten_ridge` is added to the variance in
    every direction: what hardly varies at all is mostly noise, and is not blown up.

    Takes rows (B, columns) and gives as many.
    """

    mean: Tensor
    turn: Tensor

    def __init__(self, *, input_shape: tuple[int, ...], whiten_ridge: float) -> None:
        super().__init__()
        (columns,) = input_shape
        self.ridge = whiten_ridge
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("turn", torch.eye(columns))

    def fit(self, inputs: Tensor) -> None:
        """Learn mean and covariance from training rows (N, columns)."""
        rows = inputs.double()
        mean = rows.mean(0)
        covariance = (rows - mean).T @ (rows - mean) / len(rows)
        variances, directions = torch.linalg.eigh(covariance)
        scales = (variances.clamp(min=0) + self.ridge).rsqrt()
        self.mean.copy_(mean)
        self.turn.copy_(directions * scales @ directions.T)

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean) @ self.turn
