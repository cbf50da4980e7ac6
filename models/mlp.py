"""A multi-layer perceptron."""

from math import prod

from torch import Tensor, nn

from models.parts import activation_layer, normalisation_layer


class MLP(nn.Module):
    """Fully connected hidden layers of one width and a linear head.

    Takes (B, *input_shape) and returns (B, outputs).
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        depth: int,
        width: int,
        normalisation: str = "batch",
        residual: bool = False,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = [prod(input_shape), *[width] * depth]
        self.hidden = nn.Sequential(
            *(
                HiddenLayer(
                    inputs,
                    width,
                    normalisation=normalisation,
                    # The first layer changes the size, so nothing can pass beside it.
                    residual=residual and index > 0,
                    activation=activation,
                    dropout=dropout,
                )
                for index, inputs in enumerate(sizes[:-1])
            )
        )
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)  # (B, inputs)
        logits: Tensor = self.head(self.hidden(x))
        return logits


class HiddenLayer(nn.Module):
    """A matrix, its normalisation, the activation and dropout, with a way around them."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        normalisation: str,
        residual: bool,
        activation: str,
        dropout: float,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.norm = normalisation_layer(normalisation, outputs, flat=True)
        self.activation = activation_layer(activation)
        self.dropout = nn.Dropout(dropout)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dropout(self.activation(self.norm(self.linear(x))))
        return x + y if self.residual else y
