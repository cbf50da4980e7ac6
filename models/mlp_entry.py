"""The multi-layer perceptron's catalogue entry: its hyperparameters and what it costs."""

from collections.abc import Iterator
from math import prod
from typing import Final

from models.catalog import DataShape, Layer, ModelEntry
from models.domains import ACTIVATIONS, check
from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real


def hyperparameters(shape: DataShape) -> tuple[Hyperparameter, ...]:
    """The default space; its costliest corner costs at most eight times its default.

    Layers above the first cost the square of the width, and the default has one of them: two at
    twice the width cost eight times as much, whatever the data.
    """
    return (
        Integer(name="depth", low=1, high=3, default=2,
                source="common practice"),
        Integer(name="width", low=32, high=512, default=256, log=True,
                source="a factor of 2 up, of 8 down: at most eight times the default's cost"),
        Choice(name="normalisation", choices=("none", "batch", "layer"), default="batch",
               source="arXiv:1502.03167; per example: arXiv:1607.06450"),
        Choice(name="residual", choices=(False, True), default=False, source="arXiv:1512.03385"),
        Choice(name="activation", choices=ACTIVATIONS, default="relu", source="common practice"),
        Real(name="dropout", low=0.0, high=0.5, default=0.0,
             source="after every hidden layer, up to 0.5: Srivastava et al., JMLR 2014"),
    )  # fmt: skip


def layers(config: Config, shape: DataShape) -> Iterator[Layer]:
    """The cost of each hidden layer, with its normalisation, and of the head.

    Multiply-adds of the matrices are counted; the rest is below a few percent.
    """
    values = {h.name: h.default for h in hyperparameters(shape)} | dict(config)
    check(values)
    width, norm = int(values["width"]), values["normalisation"] != "none"
    inputs = prod(shape.input_shape)
    for index in range(1, int(values["depth"]) + 1):
        yield Layer(
            name=f"hidden{index}",
            parameters=(inputs + 1) * width + 2 * width * norm,
            flops=2 * inputs * width,
            activations=(2 + norm) * width,
        )
        inputs = width
    yield Layer(
        name="head",
        parameters=(width + 1) * shape.outputs,
        flops=2 * width * shape.outputs,
        activations=shape.outputs,
    )


MLP: Final = ModelEntry(
    name="mlp",
    summary="Fully connected layers of one width, each normalised, activated and dropped out.",
    source="Rumelhart, Hinton and Williams, Nature 1986",
    build="models.mlp:MLP",
    hyperparameters=hyperparameters,
    layers=layers,
)
