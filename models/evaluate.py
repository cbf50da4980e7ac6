"""How well a network does on rows it does not learn from."""

import torch
from torch import nn

from models.build import build_loss
from models.data import Dataset, Split
from models.hyperparameters import Config

#: Rows at once: the largest that keeps a network's maps in a CPU's cache, roughly.
_CHUNK = 500


def evaluate(
    module: nn.Module,
    data: Dataset,
    split: str = "val",
    *,
    loss: str = "cross_entropy",
    config: Config | None = None,
) -> dict[str, float]:
    """``loss`` and ``accuracy`` over a split; the loss is without label smoothing.

    The module is put into evaluation mode and left in it.

    Raises:
        KeyError: the data has no such split.
    """
    criterion = build_loss(loss, config or {}, training=False)
    return evaluate_rows(module, data, data.split(split), criterion)


@torch.inference_mode()
def evaluate_rows(
    module: nn.Module, data: Dataset, rows: Split, criterion: nn.Module
) -> dict[str, float]:
    """``loss`` and ``accuracy`` over `rows`, `criterion` being a mean over a batch."""
    module.eval()
    device = rows.labels.device
    loss = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    for start in range(0, rows.rows, _CHUNK):
        images = rows.inputs[start : start + _CHUNK]
        labels = rows.labels[start : start + _CHUNK]
        logits = module(data.prepared(images))
        loss += criterion(logits, labels).double() * len(labels)
        correct += (logits.argmax(1) == labels).sum()
    return {"loss": loss.item() / rows.rows, "accuracy": correct.item() / rows.rows}
