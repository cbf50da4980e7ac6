"""A residual network whose blocks normalise and activate first (arXiv:1603.05027)."""

from torch import Tensor, nn

from models.networks.parts import (
    StochasticDepth,
    activation_layer,
    drop_probabilities,
    normalisation_layer,
)
from models.networks.resnet_entry import Block, blocks, stem


class ResNet(nn.Module):
    """A stem, stages of residual blocks, a global average over the map, and a linear head.

    Takes (B, *input_shape) and returns (B, outputs). At the start every block is its shortcut.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        depth: int,
        width: int,
        stages: int,
        normalisation: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = stem_layers(input_shape, width, normalisation, activation)
        chain = list(blocks(input_shape, depth=depth, width=width, stages=stages))
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(block, normalisation=normalisation, activation=activation, drop=drop)
                for block, drop in zip(
                    chain, drop_probabilities(stochastic_depth, len(chain)), strict=True
                )
            )
        )
        channels = chain[-1].outputs
        self.norm = normalisation_layer(normalisation, channels, flat=False)
        self.activation = activation_layer(activation)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(channels, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))  # (B, C, H, W)
        x = self.activation(self.norm(x))
        x = x.mean(dim=(2, 3))  # (B, C)
        logits: Tensor = self.head(self.dropout(x))
        return logits


def stem_layers(
    input_shape: tuple[int, ...], width: int, normalisation: str, activation: str
) -> nn.Sequential:
    """The convolutions before the blocks, with a normalisation and an activation between two."""
    layers: list[nn.Module] = []
    for convolution in stem(input_shape, width=width):
        if layers:
            layers += [
                normalisation_layer(normalisation, convolution.inputs, flat=False),
                activation_layer(activation),
            ]
        layers.append(
            nn.Conv2d(
                convolution.inputs,
                convolution.outputs,
                3,
                stride=convolution.stride,
                padding=1,
                bias=normalisation == "none",
            )
        )
    return nn.Sequential(*layers)


class ResidualBlock(nn.Module):
    """Two convolutions, each after a normalisation and an activation, and the way around them."""

    def __init__(self, block: Block, *, normalisation: str, activation: str, drop: float) -> None:
        super().__init__()
        bias = normalisation == "none"
        self.norm1 = normalisation_layer(normalisation, block.inputs, flat=False)
        # Without a normalisation this is given the very map that goes around.
        self.activation1 = activation_layer(activation, in_place=normalisation != "none")
        self.conv1 = nn.Conv2d(
            block.inputs,
            block.outputs,
            3,
            stride=2 if block.halved else 1,
            padding=1,
            bias=bias,
        )
        self.norm2 = normalisation_layer(normalisation, block.outputs, flat=False)
        self.activation2 = activation_layer(activation)
        self.conv2 = nn.Conv2d(block.outputs, block.outputs, 3, padding=1, bias=bias)
        # A deep network trains from the start, even without normalisation (arXiv:1901.09321).
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)
        self.drop = StochasticDepth(drop)
        self.projection = projection_layer(block)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation1(self.norm1(x))
        # A way around that is not the identity starts behind the activation: the paper's code.
        shortcut = x if self.projection is None else self.projection(y)
        y = self.conv2(self.activation2(self.norm2(self.conv1(y))))
        result: Tensor = shortcut + self.drop(y)
        return result


def projection_layer(block: Block) -> nn.Module | None:
    """The way around a block that changes the shape; None where the map itself passes."""
    if not block.projected:
        return None
    # Pooling halves the map (arXiv:1812.01187, section 4.1), never a 1x1 convolution with a stride:
    # on CPU, channels last and with few channels, oneDNN's (3.12, in torch 2.13) writes past its
    # memory going backward.
    pool = nn.AvgPool2d(2, ceil_mode=True) if block.halved else nn.Identity()
    return nn.Sequential(pool, nn.Conv2d(block.inputs, block.outputs, 1, bias=False))
