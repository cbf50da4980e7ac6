"""How many rows of each class are set aside for validation. Torch-free, so that it can be told
before the data is read."""

from collections.abc import Mapping
from fractions import Fraction


def validation_counts(rows: Mapping[int, int], share: Fraction) -> dict[int, int]:
    """Rows of each class for validation: its share, rounded; at least one, never all.

    A class with a single row keeps it for training.
    """
    return {
        label: min(max(1, round(count * share)), count - 1) if count else 0
        for label, count in rows.items()
    }
