"""Layers by name that every architecture shares."""

from torch import nn

_ACTIVATIONS = {"gelu": nn.GELU, "silu": nn.SiLU}


def activation_layer(name: str) -> nn.Module:
    """The activation called `name`, one of `models.domains.ACTIVATIONS`."""
    # In place where the backward pass needs only the result: a map less to write and to read.
    layer: nn.Module = nn.ReLU(inplace=True) if name == "relu" else _ACTIVATIONS[name]()
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
