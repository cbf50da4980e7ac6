"""A multi-layer perceptron."""

from math import pi, prod

import torch
from torch import Tensor, nn

from models.networks.mlp_entry import EMBEDDED, FREQUENCIES, embedding_size
from models.networks.parts import activation_layer, normalisation_layer


class MLP(nn.Module):
    """Fully connected hidden layers of one width and a linear head.

    Takes (B, *input_shape) and returns (B, outputs). Of a table's columns, the last ones are the
    codes of `categories`, each of which is embedded, and so are the numbers on demand.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        categories: tuple[int, ...] = (),
        number_embedding: str = "none",
        embedding_sigma: float = 0.1,
        depth: int,
        width: int,
        normalisation: str = "batch",
        residual: bool = False,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embed = Embeddings(
            prod(input_shape) - len(categories),
            categories,
            sigma=embedding_sigma if number_embedding == "periodic" else None,
        )
        sizes = [self.embed.size, *[width] * depth]
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
        x = self.embed(x.flatten(1))  # (B, inputs)
        logits: Tensor = self.head(self.hidden(x))
        return logits


class Embeddings(nn.Module):
    """Codes of categories become vectors, and numbers as well where there is a `sigma`.

    Takes (B, numbers + categories) and returns (B, size).
    """

    def __init__(self, numbers: int, categories: tuple[int, ...], *, sigma: float | None) -> None:
        super().__init__()
        self.numbers = numbers
        sizes = [embedding_size(codes) for codes in categories]
        self.size = numbers * (EMBEDDED if sigma else 1) + sum(sizes)
        self.categories = nn.ModuleList(map(nn.Embedding, categories, sizes))
        self.periodic = PeriodicEmbedding(numbers, sigma) if sigma else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if not self.categories:
            vectors_of_numbers: Tensor = self.periodic(x)
            return vectors_of_numbers
        numbers, codes = x[:, : self.numbers], x[:, self.numbers :].long()
        vectors = [embed(codes[:, place]) for place, embed in enumerate(self.categories)]
        return torch.cat([self.periodic(numbers), *vectors], 1)


class PeriodicEmbedding(nn.Module):
    """Each number as sines and cosines of learned frequencies, through a matrix of its own.

    PLR of arXiv:2203.05556, section 3.3. Takes (B, N) and returns (B, N * EMBEDDED).
    """

    def __init__(self, numbers: int, sigma: float) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(sigma * torch.randn(numbers, FREQUENCIES))
        bound = (2 * FREQUENCIES) ** -0.5
        self.weight = nn.Parameter(
            torch.empty(numbers, 2 * FREQUENCIES, EMBEDDED).uniform_(-bound, bound)
        )
        self.bias = nn.Parameter(torch.empty(numbers, EMBEDDED).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        angles = 2 * pi * self.frequencies * x.unsqueeze(-1)  # (B, N, FREQUENCIES)
        waves = torch.cat([angles.cos(), angles.sin()], -1)
        vectors = torch.einsum("bnf,nfe->bne", waves, self.weight) + self.bias
        return vectors.relu().flatten(1)


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
