"""Whether a job searches what to do against classes of unequal size, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from models.catalog import DataShape, LossEntry
from models.hyperparameters import Hyperparameter
from models.training.balance_entry import BALANCE, UNEQUAL, imbalance
from tuner.errors import Fault
from tuner.planning.extremes import ends
from tuner.spec import TrainingSpec

#: Metrics to which a rare class is as good as a frequent one.
_CLASS_BY_CLASS: Final = (
    "val_balanced_accuracy",
    "val_f1",
    "val_roc_auc",
    "val_average_precision",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancing:
    """The hyperparameter ``balance``, or nothing, and a sentence where classes are unequal."""

    parameters: tuple[Hyperparameter, ...]
    notes: tuple[str, ...]


def balancing(spec: TrainingSpec, loss: LossEntry, shape: DataShape, metric: str) -> Balancing:
    """What is searched against unequal classes; the spec's own ``space.balance`` goes before.

    Searched are class weights and weighted sampling, off in trial 0, where the largest class has
    three times the smallest's rows or more and the metric counts classes alike: any other would
    have to pay for the rare classes with rows of the frequent ones.
    """
    if not shape.classes or shape.kind == "text":
        return Balancing(parameters=(), notes=())
    if BALANCE.name in spec.space:
        return Balancing(parameters=(BALANCE,), notes=())
    times = imbalance(shape)
    if times < UNEQUAL:
        return Balancing(parameters=(), notes=())
    unequal = f"the largest class has {times:.3g} times the training rows of the smallest"
    if metric in _CLASS_BY_CLASS and loss.class_weights:
        note = f"balance is searched, and none in trial 0: {unequal}."
        return Balancing(parameters=(BALANCE,), notes=(note,))
    if metric in _CLASS_BY_CLASS:
        note = f"balance is left alone: {unequal}, but loss {loss.name} takes no class weights."
        return Balancing(parameters=(), notes=(f"{note} Write space: {{balance: sampling}}.",))
    note = (
        f"Classes are unequal: {unequal}, and {metric} says little of the rare ones. With metric: "
        "val_balanced_accuracy each class counts alike, and balance is searched."
    )
    return Balancing(parameters=(), notes=(note,))


def balance_faults(parameters: Iterable[Hyperparameter], loss: LossEntry) -> list[Fault]:
    """What is wrong where a job's parameters want class weights of a loss without any."""
    for parameter in parameters:
        wanted = parameter.name == BALANCE.name and "weights" in ends(parameter)
        if wanted and not loss.class_weights:
            detail = (
                f"balance = 'weights': loss {loss.name} takes no class weights; use balance: "
                "sampling, or a loss of the catalogue."
            )
            return [Fault(pointer="/space/balance", code="class-weights", detail=detail)]
    return []
