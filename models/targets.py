"""Whether a loss can take the targets there are: their kind, and their values where that counts."""

from models.catalog import DataRefused
from models.data import Dataset
from models.entries import catalog


def check_targets(loss: str, data: Dataset) -> None:
    """Refuse data whose targets are not for this loss.

    Raises:
        DataRefused: naming the target, what the loss takes, and losses that fit.
    """
    entry = catalog().losses[loss]
    complaint = entry.refuses(data.shape)
    if complaint is None and entry.link == "log":
        complaint = _negative(loss, data)
    if complaint is not None:
        raise DataRefused(f"{data.name}: {complaint}")


def _negative(loss: str, data: Dataset) -> str | None:
    """Where answers are logarithms of rates, no target is below zero."""
    smallest = min(float(split.labels.min()) for split in (data.train, data.val))
    if smallest >= 0:
        return None
    return (
        f"the target's smallest value is {smallest:g}; {loss} takes numbers of at least 0: "
        "use mse, huber or l1."
    )
