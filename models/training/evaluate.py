"""How well a network does on rows it does not learn from."""

import torch
from torch import nn

from models.build import build_loss
from models.data.loading import Dataset, Split
from models.hyperparameters import Config
from models.losses.numbers import NumberLoss
from models.training.metrics import Tally
from models.training.precision import FLOAT32, Precision, in_full

#: Rows at once: the largest that keeps a network's maps in a CPU's cache, roughly.
_CHUNK = 500
#: Outputs at once, which bounds memory where there are very many.
_OUTPUTS = 1_000_000


def evaluate(
    module: nn.Module,
    data: Dataset,
    split: str = "val",
    *,
    loss: str = "cross_entropy",
    config: Config | None = None,
) -> dict[str, float]:
    """``loss`` and the metrics that fit the target over a split, as trials are judged.

    The module is put into evaluation mode and left in it.

    Raises:
        KeyError: the data has no such split.
    """
    criterion = build_loss(loss, config or {}, training=False)
    return evaluate_rows(module, data, data.split(split), criterion, loss=loss)


@torch.inference_mode()
def evaluate_rows(
    module: nn.Module,
    data: Dataset,
    rows: Split,
    criterion: nn.Module,
    *,
    loss: str = "cross_entropy",
    precision: Precision = FLOAT32,
) -> dict[str, float]:
    """``loss`` and the metrics that fit the target over `rows`: see `models.training.metrics`.

    `criterion` is a mean over a batch, and `loss` its name. Metrics of numbers are in the target's
    own unit. Only the module computes in `precision`.
    """
    module.eval()
    total = torch.zeros((), dtype=torch.float64, device=rows.labels.device)
    tally = Tally.of(data.shape, unit=data.preparation.unit, loss=loss)
    shape = data.shape
    chunk = min(_CHUNK, max(1, _OUTPUTS // (shape.outputs * shape.labels_each)))
    for start in range(0, rows.rows, chunk):
        images = rows.inputs[start : start + chunk]
        targets = data.targets(rows.labels[start : start + chunk])
        with precision.autocast():
            outputs = module(data.prepared(images))
        outputs = in_full(outputs)
        total += criterion(outputs, targets).double() * len(targets)
        if isinstance(criterion, NumberLoss):
            outputs = criterion.predictions(outputs)
        tally.add(outputs, targets)
    return {"loss": total.item() / rows.rows, **tally.metrics()}
