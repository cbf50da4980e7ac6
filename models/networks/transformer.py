"""A small transformer for the rows of a table and for series."""

import torch
from torch import Tensor, nn

from models.networks.attention import PlacedTokens, TransformerBlock, with_class_token
from models.networks.parts import in_patches
from models.networks.sequences import patches, series_shape
from models.networks.transformer_entry import is_table


class Transformer(nn.Module):
    """Columns or patches as tokens, blocks of attention with gated layers, and a linear head.

    Takes (B, *input_shape) and returns (B, outputs). Of a table it is FT-Transformer
    (arXiv:2106.11959, section 3.3): a class token answers, and the first block's attention sees
    tokens that are not normalised, or the size of a number would be lost. Of a series, tokens are
    patches of all channels (arXiv:2211.14730, section 3.1), and their mean answers by default.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        categories: tuple[int, ...] = (),
        depth: int,
        width: int,
        patch: int = 1,
        heads: int = 4,
        mlp_ratio: int = 1,
        class_token: bool = False,
        activation: str = "relu",
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
        residual_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        table = is_table(input_shape)
        self.tokens = (
            ColumnTokens(input_shape[0] - len(categories), categories, width)
            if table
            else PatchTokens(input_shape, width, patch=patch, class_token=class_token)
        )
        self.blocks = nn.Sequential(
            *(
                TransformerBlock(
                    width,
                    heads=heads,
                    hidden=width * mlp_ratio,
                    activation=activation,
                    gated=True,
                    dropout=dropout,
                    residual_dropout=residual_dropout,
                    attention_dropout=attention_dropout,
                    normalise_first=not table or index > 0,
                )
                for index in range(depth)
            )
        )
        self.class_token = table or class_token
        self.norm = nn.LayerNorm(width)
        self.activation = nn.ReLU() if table else nn.Identity()
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.tokens(x))  # (B, T, width)
        if self.class_token:
            # All that is done to a token here is done to it alone.
            x = x[:, :1]
        x = self.norm(x).mean(dim=1)  # (B, width)
        logits: Tensor = self.head(self.activation(x))
        return logits


class ColumnTokens(nn.Module):
    """A table's columns as tokens, behind the class token (arXiv:2106.11959, section 3.2).

    Takes (B, numbers + categories) and returns (B, 1 + numbers + categories, width): a number
    times its column's vector, or the vector of a code, and each column's own bias.
    """

    def __init__(self, numbers: int, categories: tuple[int, ...], width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.numbers = numbers
        self.class_token = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        # No tensor without elements: some optimizers take means of them.
        self.weight = (
            nn.Parameter(torch.empty(numbers, width).uniform_(-bound, bound)) if numbers else None
        )
        self.categories = nn.ModuleList(nn.Embedding(codes, width) for codes in categories)
        for embedding in self.categories.parameters():
            nn.init.uniform_(embedding, -bound, bound)
        self.bias = nn.Parameter(
            torch.empty(numbers + len(categories), width).uniform_(-bound, bound)
        )

    def forward(self, x: Tensor) -> Tensor:
        numbers, codes = x[:, : self.numbers], x[:, self.numbers :].long()
        parts = [] if self.weight is None else [numbers.unsqueeze(-1) * self.weight]
        parts += [
            embed(codes[:, place, None]) for place, embed in enumerate(self.categories)
        ]  # (B, 1, width) each
        return with_class_token(self.class_token, torch.cat(parts, dim=1) + self.bias)


class PatchTokens(PlacedTokens):
    """A series as tokens, each of a few steps of all channels.

    Takes (B, C, L) and returns (B, T, width).
    """

    def __init__(
        self, input_shape: tuple[int, ...], width: int, *, patch: int, class_token: bool
    ) -> None:
        channels, length = series_shape("transformer", input_shape)
        count = patches(length, patch)
        super().__init__(count, channels * patch, width, class_token=class_token)
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(in_patches(x, self.patch))
