"""What is done against classes of unequal size, and where it is worth a search. Torch-free."""

from typing import Final

from models.catalog import DataShape
from models.domains import BALANCES
from models.hyperparameters import Choice

#: The largest class has so many times the smallest's rows, or classes count as equal. Common
#: practice: milder imbalance is learned without help (Buda et al., arXiv:1710.05381, section 4).
UNEQUAL: Final = 3.0

BALANCE: Final = Choice(
    name="balance",
    choices=BALANCES,
    default="none",
    source="weights and sampling by inverse frequency: arXiv:1710.05381, section 2",
)


def imbalance(shape: DataShape) -> float:
    """How many times the smallest class's training rows the largest class has; 1.0 where nothing
    is known of them."""
    rows = [count for count in shape.class_rows if count]
    return max(rows) / min(rows) if rows else 1.0
