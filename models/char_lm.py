"""A small decoder-only transformer that predicts the next character (Radford et al., 2019: GPT-2).

As nanoGPT builds it: arXiv:1706.03762 with each branch normalised first, learned positions,
and a mask that hides what comes later.
"""

import torch
from torch import Tensor, nn

from models.attention import TransformerBlock
from models.char_lm_entry import HIDDEN_RATIO, text_shape

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
            *(
                TransformerBlock(
                    width,
                    heads=heads,
                    hidden=HIDDEN_RATIO * width,
                    activation="gelu",
                    dropout=0.0,
                    residual_dropout=dropout,
                    causal=True,
                )
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.head = None if tied else nn.Linear(width, outputs, bias=False)
        self._draw_weights(depth)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.characters(codes) + self.positions[: codes.shape[1]]  # (B, L, width)
        x = self.norm(self.blocks(self.dropout(x)))
        weight = self.characters.weight if self.head is None else self.head.weight
        # Classes before places, as torch's losses want them.
        logits: Tensor = weight @ x.transpose(1, 2)  # (B, outputs, L)
        return logits

    def _draw_weights(self, depth: int) -> None:
        """Small ones; what is added to the way around is the smaller, the more is: GPT-2, 2.3."""
        nn.init.normal_(self.positions, std=_STD)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                added = name.endswith(("attention.out", "mlp.3"))
                nn.init.normal_(module.weight, std=_STD / (2 * depth) ** 0.5 if added else _STD)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
