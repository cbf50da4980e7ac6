"""A temporal convolutional network for whole series (arXiv:1803.01271)."""

from itertools import islice

from torch import Tensor, nn

from models.networks.parts import activation_layer, normalisation_layer, read_out
from models.networks.tcn_entry import dilations, stem


class TCN(nn.Module):
    """A stem, residual blocks of dilated convolutions, one vector of all steps, a linear head.

    Takes (B, C, L) and returns (B, outputs). The paper's convolutions see the past alone, as a
    forecast must. Here a series is answered as a whole, once it has ended: a step may see what
    comes after it, and with as many blocks sees as far to both sides.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        depth: int,
        width: int,
        patch: int = 1,
        kernel: int = 5,
        normalisation: str = "batch",
        activation: str = "relu",
        readout: str = "mean",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        begin = stem(input_shape, patch)
        bias = normalisation == "none"
        self.stem = nn.Sequential(
            nn.Conv1d(
                begin.channels,
                width,
                begin.kernel,
                stride=begin.stride,
                padding=begin.stride,
                bias=bias,
            ),
            normalisation_layer(normalisation, width, flat=True),
            activation_layer(activation),
        )
        self.blocks = nn.Sequential(
            *(
                DilatedBlock(
                    width,
                    kernel=kernel,
                    dilation=dilation,
                    normalisation=normalisation,
                    activation=activation,
                    dropout=dropout,
                )
                for dilation in islice(dilations(begin.steps, kernel), depth)
            )
        )
        self.readout = readout
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))  # (B, width, T)
        logits: Tensor = self.head(read_out(x, self.readout))
        return logits


class DilatedBlock(nn.Module):
    """Two dilated convolutions, each normalised, activated and dropped out, and a way around.

    Takes and returns (B, width, T).
    """

    def __init__(
        self,
        width: int,
        *,
        kernel: int,
        dilation: int,
        normalisation: str,
        activation: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    convolution_layer(
                        width, kernel=kernel, dilation=dilation, bias=normalisation == "none"
                    ),
                    normalisation_layer(normalisation, width, flat=True),
                    activation_layer(activation),
                    nn.Dropout1d(dropout),
                )
                for _ in range(2)
            )
        )
        self.activation = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.activation(x + self.layers(x))
        return result


def convolution_layer(width: int, *, kernel: int, dilation: int, bias: bool) -> nn.Module:
    """A convolution that keeps the number of steps, whatever its kernel."""
    beside = dilation * (kernel - 1)
    convolution = nn.Conv1d(width, width, kernel, padding=beside // 2, dilation=dilation, bias=bias)
    if beside % 2 == 0:
        return convolution
    return nn.Sequential(nn.ConstantPad1d((0, 1), 0.0), convolution)
