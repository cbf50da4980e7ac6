"""A network of one's own: its constructor says what there is to tune."""

from typing import Annotated

from torch import Tensor, nn

from tuner import Range


class Net(nn.Module):
    """Residual layers. `in_features` and `num_classes` are filled from the data; what has a default
    is searched, in a range that its name and its default suggest, or that is written beside it."""

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        width: int = 32,
        depth: int = 2,
        dropout: float = 0.0,
        gain: Annotated[float, Range(0.1, 1.0, log=True)] = 0.5,
        normalise: bool = True,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.gain = gain
        self.first = nn.Linear(in_features, width)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width) if normalise else nn.Identity(),
                nn.Linear(width, width),
                nn.Tanh() if activation == "tanh" else nn.ReLU(),
                nn.Dropout(dropout),
            )
            for _ in range(depth)
        )
        self.last = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes) of rows (B, features)."""
        x = self.first(x)
        for layer in self.layers:
            x = x + self.gain * layer(x)
        logits: Tensor = self.last(x)
        return logits
