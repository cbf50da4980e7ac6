"""Shares in which two examples are mixed."""

from typing import Final

import torch
from torch import Tensor
from torch.distributions import Gamma

#: Below this a share is 0 or 1 as far as a float can tell.
_SMALLEST: Final = 1e-6


def beta_shares(alpha: float, batch: Tensor) -> Tensor:
    """Shares (B,) from the symmetric beta distribution of `alpha`, on the device of `batch`.

    Drawn as logarithms of two gamma variables, each one of ``alpha + 1`` times a uniform one's
    power ``1 / alpha`` (Marsaglia and Tsang, ACM TOMS 26(3), 2000), which a small `alpha` cannot
    make 0 / 0.
    """
    alpha = max(alpha, _SMALLEST)
    count, device = len(batch), batch.device
    one = torch.ones((), device=device)
    gammas = Gamma(one * (alpha + 1), one, validate_args=False).sample((2, count)).log()
    powers = (1 - torch.rand(2, count, device=device)).log()
    logits = (gammas[0] - gammas[1]) + (powers[0] - powers[1]) / alpha
    return logits.sigmoid().to(batch.dtype)
