"""A network of gated recurrent units for whole series (arXiv:1406.1078)."""

import torch
from torch import Tensor, nn

from models.networks.parts import in_patches, read_out
from models.networks.sequences import series_shape


class GRU(nn.Module):
    """Recurrent layers, one vector of all steps, and a linear head.

    Takes (B, C, L) and returns (B, outputs). The last step of a layer that goes backwards in time
    is a series' first.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        depth: int,
        width: int,
        patch: int = 1,
        bidirectional: bool = True,
        readout: str = "max",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, _length = series_shape("gru", input_shape)
        self.patch = patch
        self.layers = nn.GRU(
            channels * patch,
            width,
            depth,
            batch_first=True,
            bidirectional=bidirectional,
            # Between two layers: there is no such place in one.
            dropout=dropout if depth > 1 else 0.0,
        )
        begin_well(self.layers)
        self.readout = readout
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width * (1 + bidirectional), outputs)

    def forward(self, x: Tensor) -> Tensor:
        steps, states = self.layers(in_patches(x, self.patch))
        if self.readout == "last":
            ways = 1 + self.layers.bidirectional
            x = torch.cat(list(states[-ways:]), dim=1)  # (B, ways * width)
        else:
            x = read_out(steps.transpose(1, 2), self.readout)
        logits: Tensor = self.head(self.dropout(x))
        return logits


def begin_well(layers: nn.GRU) -> None:
    """Draw weights that pass on what they are given, in place of torch's, which are small.

    Recurrent matrices are orthogonal (arXiv:1312.6120, section 3), and those of inputs keep the
    variance (Glorot and Bengio, AISTATS 2010): each gate's apart.
    """
    for name, parameter in layers.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
            continue
        for gate in parameter.data.chunk(3):
            draw = nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
            draw(gate)
