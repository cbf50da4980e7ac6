"""Whether a loss can take the targets there are: their kind, and their values where that counts."""

from dataclasses import replace

from models.catalog import DataRefused
from models.data.loading import Dataset
from models.entries import loss_entry


def check_targets(loss: str, data: Dataset) -> None:
    """Refuse data whose targets are not for this loss.

    `data` is in its own unit where answers are logarithms.

    Raises:
        DataRefused: naming the target, what the loss takes, and losses that fit.
    """
    entry = loss_entry(loss)
    shape = data.shape
    if entry.link == "log" and not shape.classes:
        smallest = min(float(split.labels.min()) for split in (data.train, data.val))
        shape = replace(shape, smallest=smallest)
    complaint = entry.refuses(shape)
    if complaint is not None:
        raise DataRefused(f"{data.name}: {complaint}")
