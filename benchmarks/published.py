"""Networks as their authors published them, handed over as a user would hand over a class.

Nothing here knows of the service: constructors with the authors' numbers for defaults.
"""

from torch import Tensor, nn


class LeNet5(nn.Module):
    """LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 1998, section II.B.

    As it is usually written today: all maps of C3 see all of S2, and the last layer is linear.
    Convolutions are padded, so that small images leave something.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        num_classes: int,
        channels1: int = 6,
        channels2: int = 16,
        features1: int = 120,
        features2: int = 84,
    ) -> None:
        super().__init__()
        side = image_size // 2 // 2
        self.maps = nn.Sequential(
            nn.Conv2d(in_channels, channels1, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(channels1, channels2, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels2 * side * side, features1), nn.Tanh(),
            nn.Linear(features1, features2), nn.Tanh(),
            nn.Linear(features2, num_classes),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.maps(images))
        return logits


class TabularResNet(nn.Module):
    """Gorishniy and others, arXiv:2106.11959, section 3.2, with the defaults of their package."""

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        n_blocks: int = 2,
        d_block: int = 192,
        d_hidden_multiplier: float = 2.0,
        dropout1: float = 0.15,
        dropout2: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = round(d_block * d_hidden_multiplier)
        self.first = nn.Linear(in_features, d_block)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(d_block), nn.Linear(d_block, hidden), nn.ReLU(),
                nn.Dropout(dropout1), nn.Linear(hidden, d_block), nn.Dropout(dropout2),
            )
            for _ in range(n_blocks)
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.BatchNorm1d(d_block), nn.ReLU(), nn.Linear(d_block, num_classes)
        )

    def forward(self, rows: Tensor) -> Tensor:
        features = self.first(rows)
        for block in self.blocks:
            features = features + block(features)
        answers: Tensor = self.head(features)
        return answers
