"""The temporal convolutional network's catalogue entry: its hyperparameters and what it costs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from models.catalog import DataShape, Layer, ModelEntry
from models.domains import ACTIVATIONS, check
from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real
from models.networks.sequences import patch_lengths, patches, series_shape

#: Steps that the stem leaves of a series at most, by default.
MOST_STEPS: Final = 128
_TCN: Final = "arXiv:1803.01271"
_RESNET: Final = "arXiv:1611.06455"


def hyperparameters(shape: DataShape) -> tuple[Hyperparameter, ...]:
    """The default space; its costliest corner costs at most ten times its default.

    Cost grows with the square of the width and in proportion to depth and kernel: twice as wide,
    half as deep again and with a kernel of 7 in place of 5 costs 8.4 times as much.
    """
    _channels, length = series_shape("tcn", shape.input_shape)
    sizes = patch_lengths(length, MOST_STEPS)
    return (
        Choice(name="patch", choices=sizes, default=sizes[0],
               source="steps of time that the stem makes one; 128 steps stay, or fewer: "
                      "a bound on cost and memory"),
        Integer(name="depth", low=2, high=6, default=4,
                source=f"3 blocks: {_RESNET}, section 2.3; about 4 to 8: {_TCN}, table 2"),
        Integer(name="width", low=16, high=96, default=48, step=16,
                source=f"64 and 128: {_RESNET}, section 2.3; 25 to 600: {_TCN}, table 2; "
                       "a factor of 2 up, small enough for a CPU"),
        Choice(name="kernel", choices=(3, 5, 7), default=5,
               source=f"3 to 8: {_RESNET}, section 2.3; 2 to 8: {_TCN}, table 2"),
        Choice(name="normalisation", choices=("none", "batch", "layer"), default="batch",
               source=f"batch: {_RESNET}, section 2.3; per example: arXiv:1607.06450"),
        Choice(name="activation", choices=ACTIVATIONS, default="relu",
               source=f"relu: {_TCN}, section 3.4"),
        Choice(name="readout", choices=("mean", "max"), default="mean",
               source=f"global average: {_RESNET}, section 2.2"),
        Real(name="dropout", low=0.0, high=0.5, default=0.0,
             source=f"0 to 0.5, of whole channels: {_TCN}, section 3.4 and table 2"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """The convolution that takes `patch` steps for one, and looks as far beside them."""

    channels: int
    #: Of a series, and after the stem.
    length: int
    steps: int
    kernel: int
    stride: int


def stem(input_shape: tuple[int, ...], patch: int) -> Stem:
    """The stem for series of this shape."""
    channels, length = series_shape("tcn", input_shape)
    return Stem(
        channels=channels,
        length=length,
        steps=patches(length, patch),
        kernel=2 * patch + 1,
        stride=patch,
    )


def dilations(steps: int, kernel: int) -> Iterator[int]:
    """1, 2, 4, … for block after block, and from the start again once a kernel spans the series.

    So an answer sees the whole series (arXiv:1803.01271, section 3.2), and no block looks at
    nothing but what lies beside it (the stacks of arXiv:1609.03499, section 2.1).
    """
    while True:
        dilation = 1
        yield dilation
        while (kernel - 1) * 2 * dilation < steps:
            dilation *= 2
            yield dilation


def layers(config: Config, shape: DataShape) -> Iterator[Layer]:
    """The cost of the stem, of each block of two convolutions, and of the head.

    Multiply-adds of convolutions and of the head are counted; the rest is below a few percent.
    """
    values = {h.name: h.default for h in hyperparameters(shape)} | dict(config)
    check(values)
    begin, width = stem(shape.input_shape, int(values["patch"])), int(values["width"])
    norm = values["normalisation"] != "none"
    yield _layer("stem", begin.kernel * begin.channels * width, width, begin.steps, norm=norm)
    for index in range(1, int(values["depth"]) + 1):
        weights = int(values["kernel"]) * width * width
        pair = [_layer("", weights, width, begin.steps, norm=norm) for _ in range(2)]
        yield Layer(
            name=f"block{index}",
            parameters=sum(layer.parameters for layer in pair),
            flops=sum(layer.flops for layer in pair),
            activations=sum(layer.activations for layer in pair) + 2 * width * begin.steps,
        )
    yield Layer(
        name="head",
        parameters=(width + 1) * shape.outputs,
        flops=2 * width * shape.outputs,
        activations=width + shape.outputs,
    )


def _layer(name: str, weights: int, width: int, steps: int, *, norm: bool) -> Layer:
    """A convolution, its normalisation, activation and dropout."""
    return Layer(
        name=name,
        parameters=weights + (2 * width if norm else width),
        flops=2 * weights * steps,
        activations=(3 + norm) * width * steps,
    )


TCN: Final = ModelEntry(
    name="tcn",
    summary="Residual blocks of dilated convolutions over time, averaged, and a linear head.",
    source=f"{_TCN}, not causal and with batch normalisation as in {_RESNET}",
    build="models.networks.tcn:TCN",
    hyperparameters=hyperparameters,
    layers=layers,
    kinds=("series",),
)
