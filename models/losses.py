"""The losses' catalogue entries: what each takes, and what is wrong with other labels."""

from typing import Final

from models.catalog import DataShape, LossEntry
from models.hyperparameters import Choice, Real

_SMOOTHING: Final = Real(
    name="label_smoothing",
    low=0.0,
    high=0.3,
    default=0.0,
    source="0.1: arXiv:1512.00567, section 7",
)


def refuses_unless_classes(shape: DataShape) -> str | None:
    """Class labels run from zero without a gap, and there are at least two."""
    low, high = shape.labels
    if shape.classes < 2:
        return f"labels have one value, {low}; classification needs two classes or more."
    if (low, high) != (0, shape.classes - 1):
        return (
            f"labels run from {low} to {high} with {shape.classes} different values; "
            f"class labels are 0 to {shape.classes - 1}: renumber them."
        )
    return None


def refuses_unless_binary(shape: DataShape) -> str | None:
    """Binary labels are zero and one."""
    if shape.labels != (0, 1):
        low, high = shape.labels
        return (
            f"labels run from {low} to {high}; binary cross-entropy takes 0 and 1: "
            "use cross_entropy or multi_margin for more classes, or renumber the labels."
        )
    return None


CROSS_ENTROPY: Final = LossEntry(
    name="cross_entropy",
    summary="Negative log-likelihood of the class under a softmax.",
    build="torch.nn:CrossEntropyLoss",
    hyperparameters=(_SMOOTHING,),
    metric="val_accuracy",
    direction="maximize",
    refuses=refuses_unless_classes,
    mixed_labels=True,
)

BCE: Final = LossEntry(
    name="bce",
    summary="Binary cross-entropy of each of the two classes against the other, on two logits.",
    build="models.bce:TwoLogitBCE",
    hyperparameters=(_SMOOTHING,),
    metric="val_accuracy",
    direction="maximize",
    refuses=refuses_unless_binary,
)

MULTI_MARGIN: Final = LossEntry(
    name="multi_margin",
    summary="Hinge loss: the right class should lead every other by a margin.",
    build="torch.nn:MultiMarginLoss",
    hyperparameters=(
        Real(name="margin", low=0.1, high=10.0, default=1.0, log=True,
             source="Crammer and Singer, JMLR 2001"),
        Choice(name="margin_power", choices=(1, 2), default=1, source="squared: arXiv:1306.0239"),
    ),
    metric="val_accuracy",
    direction="maximize",
    refuses=refuses_unless_classes,
)  # fmt: skip
