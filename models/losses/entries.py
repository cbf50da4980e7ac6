"""The losses' catalogue entries: what each takes, and what is wrong with other targets."""

from functools import partial
from typing import Final

from models.catalog import DataShape, LossEntry
from models.hyperparameters import Choice, Real

#: The losses a refusal recommends.
FOR_CLASSES: Final = ("cross_entropy", "nll", "focal", "multi_margin")
FOR_TEXT: Final = ("cross_entropy", "nll", "focal")
FOR_NUMBERS: Final = ("mse", "huber", "l1", "poisson")

_SMOOTHING: Final = Real(
    name="label_smoothing",
    low=0.0,
    high=0.3,
    default=0.0,
    source="0.1: arXiv:1512.00567, section 7",
)


def refuses_unless_classes(loss: str, shape: DataShape) -> str | None:
    """Class labels run from zero without a gap, and there are at least two."""
    low, high = shape.labels
    if shape.classes == 0:
        return f"the target is a number; {loss} takes classes: use {_either(FOR_NUMBERS)}."
    if shape.kind == "text" and loss not in FOR_TEXT:
        return (
            f"each character of a text has a label, and {loss} takes one an example: use "
            f"{_either(FOR_TEXT)}."
        )
    if shape.classes < 2:
        return f"labels have one value, {low}; classification needs two classes or more."
    if (low, high) != (0, shape.classes - 1):
        return (
            f"labels run from {low} to {high} with {shape.classes} different values; "
            f"class labels are 0 to {shape.classes - 1}: renumber them."
        )
    return None


def refuses_unless_binary(loss: str, shape: DataShape) -> str | None:
    """Binary labels are zero and one."""
    if shape.classes == 0 or shape.kind == "text":
        return refuses_unless_classes(loss, shape)
    if shape.labels != (0, 1):
        low, high = shape.labels
        return (
            f"labels run from {low} to {high}; binary cross-entropy takes 0 and 1: "
            "use cross_entropy or multi_margin for more classes, or renumber the labels."
        )
    return None


def refuses_unless_numbers(loss: str, shape: DataShape) -> str | None:
    """Only a target that is a number."""
    if shape.classes == 0:
        return None
    number = f"{shape.classes} classes" if shape.classes > 1 else "one class"
    fitting = FOR_TEXT if shape.kind == "text" else FOR_CLASSES
    return f"the target has {number}; {loss} takes numbers: use {_either(fitting)}."


def refuses_unless_counts(loss: str, shape: DataShape) -> str | None:
    """Only numbers of which a logarithm can be the rate: none is below zero."""
    if shape.classes or shape.smallest >= 0:
        return refuses_unless_numbers(loss, shape)
    return (
        f"the target's smallest value is {shape.smallest:g}; {loss} takes numbers of at least 0: "
        "use mse, huber or l1."
    )


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


CROSS_ENTROPY: Final = LossEntry(
    name="cross_entropy",
    summary="Negative log-likelihood of the class under a softmax.",
    build="torch.nn:CrossEntropyLoss",
    hyperparameters=(_SMOOTHING,),
    metric="val_accuracy",
    direction="maximize",
    refuses=partial(refuses_unless_classes, "cross_entropy"),
    probabilities="softmax",
    class_weights=True,
    mixed_labels=True,
)

BCE: Final = LossEntry(
    name="bce",
    summary="Binary cross-entropy of each of the two classes against the other, on two logits.",
    build="models.losses.bce:TwoLogitBCE",
    hyperparameters=(_SMOOTHING,),
    metric="val_accuracy",
    direction="maximize",
    refuses=partial(refuses_unless_binary, "bce"),
    mixed_labels=True,
    probabilities="sigmoid",
    class_weights=True,
)

NLL: Final = LossEntry(
    name="nll",
    summary="Negative log-likelihood of log-softmax: cross_entropy with nothing to tune.",
    build="torch.nn:CrossEntropyLoss",
    hyperparameters=(),
    metric="val_accuracy",
    direction="maximize",
    refuses=partial(refuses_unless_classes, "nll"),
    mixed_labels=True,
    probabilities="softmax",
    class_weights=True,
)

FOCAL: Final = LossEntry(
    name="focal",
    summary="Cross-entropy that turns from easy examples to hard ones; for unequal classes.",
    build="models.losses.focal:FocalLoss",
    hyperparameters=(
        Real(name="gamma", low=0.0, high=5.0, default=2.0,
             source="0 to 5, and 2 the best: arXiv:1708.02002, section 3.2"),
    ),
    metric="val_accuracy",
    direction="maximize",
    refuses=partial(refuses_unless_classes, "focal"),
    mixed_labels=True,
    probabilities="softmax",
    class_weights=True,
)  # fmt: skip

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
    refuses=partial(refuses_unless_classes, "multi_margin"),
    class_weights=True,
)  # fmt: skip

MSE: Final = LossEntry(
    name="mse",
    summary="Squared error; the network answers the mean.",
    build="torch.nn:MSELoss",
    hyperparameters=(),
    metric="val_rmse",
    direction="minimize",
    refuses=partial(refuses_unless_numbers, "mse"),
    takes="numbers",
)

HUBER: Final = LossEntry(
    name="huber",
    summary="Squared error up to delta and absolute error beyond; for targets with outliers.",
    build="torch.nn:HuberLoss",
    hyperparameters=(
        Real(name="delta", low=0.1, high=3.0, default=1.0, log=True,
             source="in standard deviations of the target; 1 to 2 of the error's: "
                    "Huber, Annals of Mathematical Statistics 1964"),
    ),
    metric="val_rmse",
    direction="minimize",
    refuses=partial(refuses_unless_numbers, "huber"),
    takes="numbers",
)  # fmt: skip

L1: Final = LossEntry(
    name="l1",
    summary="Absolute error; the network answers the median.",
    build="torch.nn:L1Loss",
    hyperparameters=(),
    metric="val_mae",
    direction="minimize",
    refuses=partial(refuses_unless_numbers, "l1"),
    takes="numbers",
)

POISSON: Final = LossEntry(
    name="poisson",
    summary="Negative log-likelihood of counts; the network answers the rate's logarithm.",
    build="torch.nn:PoissonNLLLoss",
    hyperparameters=(),
    metric="val_loss",
    direction="minimize",
    refuses=partial(refuses_unless_counts, "poisson"),
    takes="numbers",
    link="log",
)
