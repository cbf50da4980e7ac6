"""What a job's trials are judged by: the metrics there are, and whether one fits the job."""

from collections.abc import Mapping
from typing import Final

from models.catalog import DataShape, LossEntry
from tuner.errors import Fault, SpecInvalid, nearest
from tuner.spec import JobSpec
from tuner.states import Direction

_OF_CLASSES: Final = {
    "val_accuracy": Direction.MAXIMIZE,
    "val_balanced_accuracy": Direction.MAXIMIZE,
    "val_f1": Direction.MAXIMIZE,
    "val_roc_auc": Direction.MAXIMIZE,
    "val_average_precision": Direction.MAXIMIZE,
    "train_accuracy": Direction.MAXIMIZE,
}
_OF_NUMBERS: Final = {
    "val_rmse": Direction.MINIMIZE,
    "val_mae": Direction.MINIMIZE,
    "val_r2": Direction.MAXIMIZE,
}
_OF_ALL: Final = {"val_loss": Direction.MINIMIZE, "train_loss": Direction.MINIMIZE}

#: What trials report and a job may be judged by, and which way is better.
METRICS: Final[Mapping[str, Direction]] = {**_OF_CLASSES, **_OF_ALL, **_OF_NUMBERS}


def metrics_of(shape: DataShape) -> tuple[str, ...]:
    """The metrics that trials on such data report."""
    return (*(_OF_CLASSES if shape.classes else _OF_NUMBERS), *_OF_ALL)


def judged_by(spec: JobSpec, loss: LossEntry) -> tuple[str, Direction, list[str]]:
    """Metric, direction, and a note where the direction is an odd one.

    Raises:
        SpecInvalid: there is no such metric, or its target is out of reach.
    """
    metric = spec.metric or loss.metric
    if metric not in METRICS:
        detail = f"metric {metric!r} is unknown: {nearest(metric, tuple(METRICS))}"
        raise SpecInvalid([Fault(pointer="/metric", code="unknown-metric", detail=detail)])
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


def metric_faults(metric: str | None, shape: DataShape) -> list[Fault]:
    """What is wrong with a known `metric` for such a target; the loss's own, None, fits it."""
    fitting = metrics_of(shape)
    if metric is None or metric in fitting:
        return []
    wants, target = ("classes", "a number") if shape.classes == 0 else ("numbers", "a class")
    detail = f"metric {metric!r} is one of {wants}, but the target is {target}: {_either(fitting)}."
    return [Fault(pointer="/metric", code="metric-of-other-target", detail=detail)]


def _either(names: tuple[str, ...]) -> str:
    return f"use {', '.join(names[:-1])} or {names[-1]}"


def _out_of_reach(metric: str, target: float | None) -> str | None:
    if target is None:
        return None
    if metric in _OF_CLASSES and not 0 <= target <= 1:
        return f"budget.target = {target:g}: {metric} lies between 0 and 1; 99 % is 0.99."
    if metric in ("val_rmse", "val_mae") and target < 0:
        return f"budget.target = {target:g}: {metric} is never below 0; name an error to reach."
    if metric == "val_r2" and target > 1:
        return f"budget.target = {target:g}: val_r2 is at most 1; 90 % explained is 0.9."
    return None
