"""A small vision transformer (arXiv:2010.11929)."""

from torch import Tensor, nn
from torch.nn import functional

from models.networks.attention import PlacedTokens, TransformerBlock
from models.networks.parts import drop_probabilities
from models.networks.vit_entry import Grid, grid


class ViT(nn.Module):
    """Patches as tokens with learned positions, blocks of attention, and a linear head.

    Takes (B, *input_shape) and returns (B, outputs).
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        depth: int,
        width: int,
        patch: int,
        heads: int = 4,
        mlp_ratio: int = 2,
        class_token: bool = False,
        activation: str = "gelu",
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.tokens = Tokens(grid(input_shape, patch), width, class_token=class_token)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(
            *(
                TransformerBlock(
                    width,
                    heads=heads,
                    hidden=width * mlp_ratio,
                    activation=activation,
                    # After every matrix but those of attention: appendix B.1.
                    dropout=dropout,
                    residual_dropout=dropout,
                    drop=drop,
                )
                for drop in drop_probabilities(stochastic_depth, depth)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.class_token = class_token
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.dropout(self.tokens(x)))  # (B, T, width)
        x = self.norm(x)
        x = x[:, 0] if self.class_token else x.mean(dim=1)  # (B, width)
        logits: Tensor = self.head(x)
        return logits


class Tokens(PlacedTokens):
    """An image as tokens: takes (B, C, H, W) and returns (B, T, width)."""

    def __init__(self, cut: Grid, width: int, *, class_token: bool) -> None:
        super().__init__(cut.patches, cut.numbers, width, class_token=class_token)
        self.grid = cut

    def forward(self, x: Tensor) -> Tensor:
        cut, size = self.grid, self.grid.patch
        # Inputs are normalised: zero is the mean colour.
        x = functional.pad(x, (0, cut.right, 0, cut.below))
        x = x.reshape(-1, cut.channels, cut.rows, size, cut.columns, size)
        x = x.permute(0, 2, 4, 3, 5, 1)  # (B, rows, columns, size, size, C)
        return super().forward(x.reshape(-1, cut.patches, cut.numbers))
