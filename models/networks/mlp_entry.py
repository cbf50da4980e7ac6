"""The multi-layer perceptron's catalogue entry: its hyperparameters and what it costs."""

import math
from collections.abc import Iterator
from math import prod
from typing import Final

from models.catalog import DataShape, Layer, ModelEntry
from models.domains import ACTIVATIONS, check
from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real, When

#: Of a periodic embedding of a number: its frequencies, and what they are mapped to.
FREQUENCIES: Final = 8
EMBEDDED: Final = 8


def hyperparameters(shape: DataShape) -> tuple[Hyperparameter, ...]:
    """The default space; its costliest corner costs at most ten times its default.

    Layers above the first cost the square of the width, and the default has one of them: two at
    twice the width cost eight times as much, whatever the data. Embedded numbers make the first
    layer costly, so a table of many has them only where a job asks.
    """
    few = number_columns(shape) <= 64
    numbers = (
        Choice(name="number_embedding", choices=("none", "periodic") if few else ("none",),
               default="none", source="arXiv:2203.05556, section 3.3"),
        Real(name="embedding_sigma", low=0.01, high=10.0, default=0.1, log=True,
             when=(When(parameter="number_embedding", values=("periodic",)),),
             source="arXiv:2203.05556, appendix E"),
    ) if shape.kind == "table" and number_columns(shape) else ()  # fmt: skip
    return (
        *numbers,
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
    yield from _embeddings(values, shape)
    inputs = vector_size(shape, periodic=values.get("number_embedding") == "periodic")
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


def number_columns(shape: DataShape) -> int:
    """How many of an example's numbers are numbers, and not codes of categories."""
    return prod(shape.input_shape) - len(shape.categories)


def embedding_size(codes: int) -> int:
    """Numbers that stand for one of so many codes: fastai's rule, at most 32."""
    return min(32, max(2, round(1.6 * math.pow(codes, 0.56))))


def vector_size(shape: DataShape, *, periodic: bool) -> int:
    """The numbers that reach the first layer."""
    numbers = number_columns(shape) * (EMBEDDED if periodic else 1)
    return numbers + sum(map(embedding_size, shape.categories))


def _embeddings(values: Config, shape: DataShape) -> Iterator[Layer]:
    for index, codes in enumerate(shape.categories, start=1):
        size = embedding_size(codes)
        yield Layer(name=f"category{index}", parameters=codes * size, flops=0, activations=size)
    if values.get("number_embedding") == "periodic":
        columns = number_columns(shape)
        yield Layer(
            name="numbers",
            parameters=columns * (FREQUENCIES + (2 * FREQUENCIES + 1) * EMBEDDED),
            flops=columns * 4 * FREQUENCIES * EMBEDDED,
            activations=columns * (2 * FREQUENCIES + 2 * EMBEDDED),
        )


MLP: Final = ModelEntry(
    name="mlp",
    summary="Fully connected layers of one width, each normalised, activated and dropped out.",
    source="Rumelhart, Hinton and Williams, Nature 1986",
    build="models.networks.mlp:MLP",
    hyperparameters=hyperparameters,
    layers=layers,
    kinds=("image", "table", "series"),
)
