"""The convnet's catalogue entry: its hyperparameters and, in plain integers, what it costs."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from itertools import islice
from typing import Final

from models.catalog import DataShape, Layer, ModelEntry
from models.domains import ACTIVATIONS, check
from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real
from models.networks.images import halvings, image_shape

_PRACTICE: Final = "common practice"


def hyperparameters(shape: DataShape) -> tuple[Hyperparameter, ...]:
    """The default space; its costliest corner costs at most ten times its default.

    Channels double where the map halves, so every layer costs about the same (VGG, section 2),
    and cost grows with the square of the width: hence the bounds of width, growth and depth.
    """
    _channels, rows, columns = image_shape("convnet", shape.input_shape)
    deepest = min(halvings(rows, columns) + 1, 5)
    shallowest = min(2, deepest)
    # Small images leave room for width; large ones have their cost in the first layers.
    width = 12 if deepest < 5 else 8
    return (
        Integer(name="depth", low=shallowest, high=deepest,
                default=max(shallowest, min(4, deepest - 1)),
                source="one convolution for each size the map can be halved to"),
        Integer(name="width", low=4, high=2 * width, default=width, log=True,
                source="at most twice the default's: cost grows with the square"),
        Real(name="growth", low=1.0, high=2.0, default=2.0,
             source="constant (1) to doubling per halving (2); arXiv:1512.03385, section 3.3"),
        Choice(name="normalisation", choices=("none", "batch", "group"), default="batch",
               source="arXiv:1502.03167; in groups: arXiv:1803.08494"),
        Choice(name="pooling", choices=("max", "avg", "stride"), default="max",
               source="arXiv:1412.6806 compares pooling with strides"),
        Choice(name="residual", choices=(False, True), default=False,
               source="arXiv:1512.03385"),
        Choice(name="activation", choices=ACTIVATIONS, default="relu", source=_PRACTICE),
        Real(name="dropout", low=0.0, high=0.5, default=0.0,
             source="before the head only; up to 0.5: Srivastava et al., JMLR 2014"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One convolution: channels in and out, and the sides of its output."""

    inputs: int
    outputs: int
    height: int
    width: int
    #: Whether the map is halved on the way in.
    halved: bool


def channels(width: int, growth: float) -> Iterator[int]:
    """The channels of layer after layer: ``width * growth**i``, rounded, at least one.

    A growth of 1.5 counts as the decimal it is written as, and sixty digits are kept: exact far
    beyond what can exist, and cheap where a strange growth would make fractions explode.
    """
    digits = Context(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX)
    factor, exact = Decimal(str(growth)), Decimal(width)
    while True:
        yield max(1, round(exact))
        exact = digits.multiply(exact, factor)


def blocks(
    input_shape: tuple[int, ...], *, depth: int, width: int, growth: float, pooling: str
) -> Iterator[Block]:
    """The chain of convolutions; the map is halved between two as long as it has two pixels."""
    inputs, rows, columns = image_shape("convnet", input_shape)
    for index, outputs in enumerate(islice(channels(width, growth), depth)):
        halved = pooling != "none" and index > 0 and min(rows, columns) > 1
        if halved:
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        yield Block(inputs=inputs, outputs=outputs, height=rows, width=columns, halved=halved)
        inputs = outputs


def layers(config: Config, shape: DataShape) -> Iterator[Layer]:
    """The cost of each convolution, with all that belongs to it, and of the head.

    Multiply-adds of convolutions and of the head are counted; the rest is below a few percent.
    """
    values = {h.name: h.default for h in hyperparameters(shape)} | dict(config)
    check(values)
    outputs = 0
    chain = blocks(
        shape.input_shape,
        depth=int(values["depth"]),
        width=int(values["width"]),
        growth=float(values["growth"]),
        pooling=str(values["pooling"]),
    )
    for index, block in enumerate(chain, start=1):
        residual = bool(values["residual"]) and index > 1
        yield _layer(f"conv{index}", block, residual, norm=values["normalisation"] != "none")
        outputs = block.outputs
    yield Layer(
        name="head",
        parameters=(outputs + 1) * shape.outputs,
        flops=2 * outputs * shape.outputs,
        activations=outputs + shape.outputs,
    )


def _layer(name: str, block: Block, residual: bool, *, norm: bool) -> Layer:
    pairs = block.inputs * block.outputs
    weights = 9 * pairs + (pairs if residual and block.inputs != block.outputs else 0)
    pixels = block.height * block.width
    return Layer(
        name=name,
        parameters=weights + (2 * block.outputs if norm else block.outputs),
        flops=2 * weights * pixels,
        activations=(2 + norm + residual) * block.outputs * pixels,
    )


CONVNET: Final = ModelEntry(
    name="convnet",
    summary="A chain of 3x3 convolutions, the map halved between them, and one linear head.",
    source="channels that double from layer to layer, as in VGG (arXiv:1409.1556)",
    build="models.networks.convnet:ConvNet",
    hyperparameters=hyperparameters,
    layers=layers,
)
