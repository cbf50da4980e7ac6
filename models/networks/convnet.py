"""A chain of 3x3 convolutions."""

from torch import Tensor, nn

from models.networks.convnet_entry import Block, blocks
from models.networks.parts import activation_layer, normalisation_layer


class ConvNet(nn.Module):
    """Convolutions, a global average over the map, and a linear head.

    Takes (B, *input_shape) and returns (B, outputs).
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        depth: int,
        width: int,
        growth: float = 2.0,
        normalisation: str = "batch",
        pooling: str = "max",
        residual: bool = False,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        chain = list(blocks(input_shape, depth=depth, width=width, growth=growth, pooling=pooling))
        self.blocks = nn.Sequential(
            *(
                ConvBlock(
                    block,
                    normalisation=normalisation,
                    pooling=pooling,
                    residual=residual and index > 0,
                    activation=activation,
                )
                for index, block in enumerate(chain)
            )
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(chain[-1].outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x)  # (B, C, H, W)
        x = x.mean(dim=(2, 3))  # (B, C)
        logits: Tensor = self.head(self.dropout(x))
        return logits


class ConvBlock(nn.Module):
    """Pooling, convolution, normalisation and activation, with a way around the convolution."""

    def __init__(
        self, block: Block, *, normalisation: str, pooling: str, residual: bool, activation: str
    ) -> None:
        super().__init__()
        stride = 2 if block.halved and pooling == "stride" else 1
        self.pool = pooling_layer(pooling if block.halved else "none")
        self.conv = nn.Conv2d(
            block.inputs, block.outputs, 3, stride=stride, padding=1, bias=normalisation == "none"
        )
        self.norm = normalisation_layer(normalisation, block.outputs, flat=False)
        self.shortcut = shortcut_layer(block, stride) if residual else None
        self.activation = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        y: Tensor = self.norm(self.conv(x))
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        result: Tensor = self.activation(y)
        return result


def pooling_layer(name: str) -> nn.Module:
    """What halves a map; an odd side rounds up, as it does with a convolution of stride 2."""
    if name == "max":
        return nn.MaxPool2d(2, ceil_mode=True)
    if name == "avg":
        return nn.AvgPool2d(2, ceil_mode=True)
    return nn.Identity()


class Subsample(nn.Module):
    """Every second pixel: an identity for a map that is halved (arXiv:1512.03385, option A)."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, ::2, ::2]


def shortcut_layer(block: Block, stride: int) -> nn.Module:
    """The way around a convolution: nothing where the shapes agree, else a 1x1 convolution."""
    subsample = Subsample() if stride == 2 else nn.Identity()
    if block.inputs == block.outputs:
        return subsample
    # Never a 1x1 convolution with a stride: on CPU, channels last and with few channels, oneDNN's
    # (3.12, in torch 2.13) writes past its memory going backward.
    return nn.Sequential(subsample, nn.Conv2d(block.inputs, block.outputs, 1, bias=False))
