"""Layers by name that every architecture shares."""

from torch import Tensor, nn
from torch.nn import functional

_ACTIVATIONS = {"gelu": nn.GELU, "silu": nn.SiLU}


def activation_layer(name: str, *, in_place: bool = True) -> nn.Module:
    """The activation called `name`, one of `models.domains.ACTIVATIONS`.

    Unless `in_place` is False it may overwrite what it is given.
    """
    # In place where the backward pass needs only the result: a map less to write and to read.
    layer: nn.Module = nn.ReLU(inplace=in_place) if name == "relu" else _ACTIVATIONS[name]()
    return layer


def normalisation_layer(name: str, channels: int, *, flat: bool) -> nn.Module:
    """The normalisation called `name`, one of `models.domains.NORMALISATIONS`.

    It takes (B, channels) if `flat`, else (B, channels, H, W), and has two parameters a channel.
    """
    if name == "none":
        return nn.Identity()
    if name == "batch":
        return nn.BatchNorm1d(channels) if flat else nn.BatchNorm2d(channels)
    if name == "layer":
        return nn.GroupNorm(1, channels)
    groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


class StochasticDepth(nn.Module):
    """While training, each example's branch is dropped with `probability` (arXiv:1603.09382).

    Takes and returns (B, ...). A branch that is kept counts for more, so that the mean stays.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        kept = x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(keep)
        return x * kept.div_(keep)


def drop_probabilities(last: float, depth: int) -> list[float]:
    """Of each branch, rising evenly from near zero to `last` (arXiv:1603.09382, section 3)."""
    return [last * (index + 1) / depth for index in range(depth)]


def in_patches(series: Tensor, patch: int) -> Tensor:
    """A series (B, C, L) cut into `patch` steps each, all channels together: (B, T, C * patch).

    Inputs are standardised: the last patch is filled up with zero, which is the mean.
    """
    filled = functional.pad(series, (0, -series.shape[2] % patch))
    patches = filled.reshape(series.shape[0], series.shape[1], -1, patch)  # (B, C, T, patch)
    return patches.transpose(1, 2).flatten(2)


def read_out(steps: Tensor, how: str) -> Tensor:
    """One vector (B, C) of a series of them (B, C, T).

    `how` is one of `models.domains.READOUTS`.
    """
    if how == "mean":
        return steps.mean(dim=2)
    return steps.amax(dim=2) if how == "max" else steps[:, :, -1]
