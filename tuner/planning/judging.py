"""What a job's trials are judged by: the metrics there are, and whether one fits the job."""

from collections.abc import Mapping
from typing import Final

from models.catalog import DataShape, LossEntry
from tuner.errors import Fault, SpecInvalid, nearest
from tuner.spec import TrainingSpec
from tuner.states import Direction

_OF_CLASSES: Final = {
    "val_accuracy": Direction.MAXIMIZE,
    "val_balanced_accuracy": Direction.MAXIMIZE,
    "val_f1": Direction.MAXIMIZE,
    "val_roc_auc": Direction.MAXIMIZE,
    "val_average_precision": Direction.MAXIMIZE,
    "train_accuracy": Direction.MAXIMIZE,
}
_OF_TEXTS: Final = {
    "val_perplexity": Direction.MINIMIZE,
    "val_bits_per_character": Direction.MINIMIZE,
    "val_accuracy": Direction.MAXIMIZE,
    "train_accuracy": Direction.MAXIMIZE,
}
_OF_NUMBERS: Final = {
    "val_rmse": Direction.MINIMIZE,
    "val_mae": Direction.MINIMIZE,
    "val_r2": Direction.MAXIMIZE,
}
_OF_ALL: Final = {"val_loss": Direction.MINIMIZE, "train_loss": Direction.MINIMIZE}

#: What trials report and a job may be judged by, and which way is better.
METRICS: Final[Mapping[str, Direction]] = {
    **_OF_CLASSES,
    **_OF_ALL,
    **_OF_NUMBERS,
    **_OF_TEXTS,
}


def metrics_of(shape: DataShape) -> tuple[str, ...]:
    """The metrics that trials on such data report."""
    if shape.kind == "text":
        return (*_OF_TEXTS, *_OF_ALL)
    return (*(_OF_CLASSES if shape.classes else _OF_NUMBERS), *_OF_ALL)


def check_known(metric: str | None) -> None:
    """Refuse a name no metric has.

    Raises:
        SpecInvalid: suggesting the nearest.
    """
    if metric is not None and metric not in METRICS:
        detail = f"metric {metric!r} is unknown: {nearest(metric, tuple(METRICS))}"
        raise SpecInvalid([Fault(pointer="/metric", code="unknown-metric", detail=detail)])


def judged_by(
    spec: TrainingSpec, loss: LossEntry, shape: DataShape
) -> tuple[str, Direction, list[str]]:
    """Metric, direction, and a note where the direction is an odd one.

    Where the spec names no metric it is the loss's own; of a text it is the perplexity, since the
    share of characters that are guessed right says little of how sure the guesses are.

    Raises:
        SpecInvalid: the metric does not fit the target, or what it should reach is out of reach.
    """
    own = "val_perplexity" if shape.kind == "text" else loss.metric
    metric = spec.metric or own
    misfit = _misfit(metric, shape)
    if misfit is not None:
        raise SpecInvalid([misfit])
    complaint = _out_of_reach(metric, spec.budget.target)
    if complaint is not None:
        fault = Fault(pointer="/budget/target", code="impossible-target", detail=complaint)
        raise SpecInvalid([fault])
    usual = METRICS[metric]
    direction = spec.direction or usual
    if direction is usual:
        return metric, direction, []
    note = f"The spec wants to {direction.value} {metric}; usually one would {usual.value} it."
    return metric, direction, [note]


def _misfit(metric: str, shape: DataShape) -> Fault | None:
    """What is wrong with a known `metric` for such a target."""
    fitting = metrics_of(shape)
    if metric in fitting:
        return None
    kinds = {"classes": _OF_CLASSES, "numbers": _OF_NUMBERS, "texts": _OF_TEXTS}
    wants = next(kind for kind, metrics in kinds.items() if metric in metrics)
    target = "a class" if shape.classes else "a number"
    if shape.kind == "text":
        target = "a text's next character"
    detail = f"metric {metric!r} is one of {wants}, but the target is {target}: {_either(fitting)}."
    return Fault(pointer="/metric", code="metric-of-other-target", detail=detail)


def _either(names: tuple[str, ...]) -> str:
    return f"use {', '.join(names[:-1])} or {names[-1]}"


def _out_of_reach(metric: str, target: float | None) -> str | None:
    if target is None:
        return None
    if metric == "val_perplexity" and target < 1:
        return f"budget.target = {target:g}: {metric} is never below 1, which is to know all."
    if metric in _OF_CLASSES and not 0 <= target <= 1:
        return f"budget.target = {target:g}: {metric} lies between 0 and 1; 99 % is 0.99."
    if metric in ("val_rmse", "val_mae", "val_bits_per_character") and target < 0:
        return f"budget.target = {target:g}: {metric} is never below 0; name an error to reach."
    if metric == "val_r2" and target > 1:
        return f"budget.target = {target:g}: val_r2 is at most 1; 90 % explained is 0.9."
    return None
