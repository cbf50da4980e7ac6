"""A small decoder-only transformer that predicts the next character (Radford et al., 2019: GPT-2).

As nanoGPT builds it: arXiv:1706.03762 with each branch normalised first, learned positions,
and a mask that hides what comes later.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.char_lm_entry import HIDDEN_RATIO, head_width, text_shape

#: Of all weights at first: GPT-2's code, and nanoGPT's.
_STD = 0.02


class CharLM(nn.Module):
    """Characters with learned positions, blocks of causal attention, and a linear head.

    Takes codes (B, L), L at most the context, and returns logits (B, outputs, L): of each place,
    what its next character is. With `tied` the head's weights are those of the embedding.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        depth: int,
        width: int,
        heads: int = 4,
        tied: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.characters = nn.Embedding(outputs, width)
        self.positions = nn.Parameter(torch.empty(text_shape(input_shape), width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(
            *(CausalBlock(width, heads=heads, dropout=dropout) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width)
        self.head = None if tied else nn.Linear(width, outputs, bias=False)
        self.apply(_draw)
        nn.init.normal_(self.positions, std=_STD)
        for block in self.blocks.children():
            block.shorten(depth)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.characters(codes) + self.positions[: codes.shape[1]]  # (B, L, width)
        x = self.norm(self.blocks(self.dropout(x)))
        weight = self.characters.weight if self.head is None else self.head.weight
        # Classes before places, as torch's losses want them.
        logits: Tensor = weight @ x.transpose(1, 2)  # (B, outputs, L)
        return logits


def _draw(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=_STD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class CausalBlock(nn.Module):
    """Attention to what came before, then two layers on each token, with a way around each.

    Takes and returns (B, L, width).
    """

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = CausalAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, HIDDEN_RATIO * width),
            nn.GELU(),
            nn.Linear(HIDDEN_RATIO * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def shorten(self, depth: int) -> None:
        """Draw what is added to the way around smaller, the more is added: GPT-2, section 2.3."""
        for layer in (self.attention.out, self.mlp[-1]):
            nn.init.normal_(layer.weight, std=_STD / (2 * depth) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x)))
        result: Tensor = x + self.dropout(self.mlp(self.norm2(x)))
        return result


class CausalAttention(nn.Module):
    """Each token gathers from itself and those before it; takes and returns (B, L, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        inner = heads * head_width(width, heads)
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * inner)
        self.out = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (B, L, 3, heads, head width)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, L, head width)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        result: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return result
