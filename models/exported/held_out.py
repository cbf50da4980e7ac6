"""How well a trained network does on the test split, which no search has seen."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from models.build import build_loss
from models.data.dataset import Dataset, Split
from models.data.preparation import Preparation, RowPreparation
from models.entries import loss_entry
from models.recipe import Recipe
from models.training.evaluate import evaluate_rows

#: Groups of rows that are left out in turn, and Student's t for them: 0.975, 19 degrees of freedom.
GROUPS: Final = 20
_T: Final = 2.093
#: The standard normal distribution's 0.975.
_Z: Final = 1.96
#: Numbers that are held at once; where there are more, there are no intervals.
_MOST_HELD: Final = 2**26
_CHUNK: Final = 500
#: Metrics that lie between 0 and 1.
_SHARES: Final = frozenset({"accuracy", "balanced_accuracy", "f1", "roc_auc", "average_precision"})


def held_out_results(module: nn.Module, data: Dataset, recipe: Recipe) -> dict[str, Any] | None:
    """``rows`` and ``metrics`` of the test split: of each metric ``value``, ``low`` and ``high``.

    The ends are those of an interval of 95 % over other rows drawn like these, as if rows were
    independent of each other: Wilson's (JASA 22, 1927, 209) for the share of right answers, else
    the jackknife's with rows left out in groups, and Student's t (Miller, Biometrika 61, 1974, 1,
    section 2). None where there are fewer rows than groups. None in all where there is no split.

    The module is put into evaluation mode and left in it.
    """
    if data.test is None:
        return None
    if loss_entry(recipe.loss).link == "log":
        data = data.in_own_unit()
    test = data.split("test")
    criterion = build_loss(recipe.loss, recipe.config, training=False)
    answered = _answered(module.eval(), data, test)
    if answered is None:
        values, errors = evaluate_rows(module, data, test, criterion, loss=recipe.loss), {}
    else:
        given = replace(data, preparation=_as_answered(data.preparation))
        values = evaluate_rows(nn.Identity(), given, answered, criterion, loss=recipe.loss)
        errors = _errors(given, answered, criterion, recipe.loss)
    found = {name: _result(name, value, errors.get(name), test) for name, value in values.items()}
    return {"rows": test.rows, "metrics": found}


@torch.inference_mode()
def _answered(module: nn.Module, data: Dataset, test: Split) -> Split | None:
    """The split with the network's outputs in place of its inputs, unless they are too many."""
    parts: list[Tensor] = []
    for start in range(0, test.rows, _CHUNK):
        parts.append(module(data.prepared(test.inputs[start : start + _CHUNK])))
        if parts[0][0].numel() * test.rows > _MOST_HELD:
            return None
    return Split(inputs=torch.cat(parts), labels=test.labels)


def _as_answered(preparation: Preparation) -> Preparation:
    """Outputs need no preparation; their unit stays what it is."""
    return RowPreparation(document={}, unit=preparation.unit)


def _errors(data: Dataset, answered: Split, criterion: nn.Module, loss: str) -> dict[str, float]:
    """Each metric's standard error; nothing where there are too few rows."""
    if answered.rows < GROUPS:
        return {}
    # Rows may be sorted by class. Texts are not: their neighbours are alike and stay together.
    generator = torch.Generator().manual_seed(0)
    place = torch.arange(answered.rows)
    if answered.labels.dim() == 1:
        place = torch.randperm(answered.rows, generator=generator)
    group = (place * GROUPS // answered.rows).to(answered.labels.device)
    left: list[Mapping[str, float]] = []
    for number in range(GROUPS):
        kept = group != number
        rest = Split(inputs=answered.inputs[kept], labels=answered.labels[kept])
        left.append(evaluate_rows(nn.Identity(), data, rest, criterion, loss=loss))
    return {name: _jackknife([values[name] for values in left]) for name in left[0]}


def _jackknife(values: list[float]) -> float:
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt(squares * (len(values) - 1) / len(values))


def _result(name: str, value: float, error: float | None, test: Split) -> dict[str, float | None]:
    if not math.isfinite(value):
        return {"value": None, "low": None, "high": None}
    if name == "accuracy" and test.labels.dim() == 1:
        low, high = wilson(value, test.rows)
    elif error is None or not math.isfinite(error):
        return {"value": value, "low": None, "high": None}
    else:
        low, high = value - _T * error, value + _T * error
    if name != "r2":
        low = max(low, 0.0)
    if name in _SHARES or name == "r2":
        high = min(high, 1.0)
    return {"value": value, "low": low, "high": high}


def wilson(share: float, rows: int) -> tuple[float, float]:
    """Wilson's score interval of 95 % for a share found among so many rows."""
    square = _Z**2 / rows
    middle = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / rows + square / (4 * rows))
    return middle - half, middle + half
