"""The residual network's catalogue entry: its hyperparameters and, in integers, what it costs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from models.catalog import DataShape, Layer, ModelEntry
from models.domains import ACTIVATIONS, check
from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real
from models.networks.images import halvings, image_shape

#: Blocks work on maps of at most so many pixels a side; the stem makes larger ones smaller.
LARGEST_MAP: Final = 64
#: A longer side is halved once in any case: at the same cost, blocks twice as wide learn more. Of
#: 10,000 images of 28 pixels, four epochs brought 0.884 in 22 s, against 0.834 in 33 s.
LARGEST_WHOLE: Final = 16


def hyperparameters(shape: DataShape) -> tuple[Hyperparameter, ...]:
    """The default space; its costliest corner costs at most ten times its default.

    Channels double where the map halves, so every stage costs about the same; half as wide again
    costs 2.25 times as much, and three blocks a stage instead of one less than four times.
    """
    most = _stages(shape.input_shape)
    _channels, rows, columns = image_shape("resnet", shape.input_shape)
    width = 16 if _stem_halvings(rows, columns) else 8
    return (
        Integer(name="depth", low=1, high=3, default=1,
                source="blocks in each stage; 1 is the network of 8 layers of MLPerf Tiny "
                       "(arXiv:2106.07597), 3 that of 20 of arXiv:1512.03385, section 4.2"),
        Integer(name="width", low=width // 2, high=width + width // 2, default=width, log=True,
                source="channels of the first stage; wider by half costs 2.25 times as much"),
        Integer(name="stages", low=max(1, most - 1), high=most, default=most,
                source="three up to 32 pixels a side: arXiv:1512.03385, section 4.2; four above: "
                       "table 1"),
        Choice(name="normalisation", choices=("none", "batch", "group"), default="batch",
               source="arXiv:1603.05027, section 4; in groups: arXiv:1803.08494; none: "
                      "arXiv:1901.09321"),
        Choice(name="activation", choices=ACTIVATIONS, default="relu", source="common practice"),
        Real(name="dropout", low=0.0, high=0.5, default=0.0,
             source="before the head only; up to 0.5: Srivastava et al., JMLR 2014"),
        Real(name="stochastic_depth", low=0.0, high=0.3, default=0.0,
             source="0.5 for 54 blocks: arXiv:1603.09382, section 4; less for a few"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StemConvolution:
    """One 3x3 convolution before the blocks, and the sides of its output."""

    inputs: int
    outputs: int
    height: int
    width: int
    #: 2 where it halves the image, else 1.
    stride: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Two 3x3 convolutions with a way around them, and the sides of their output."""

    name: str
    inputs: int
    outputs: int
    height: int
    width: int
    #: Pixels of the map it is given.
    pixels_before: int
    #: Whether the first convolution halves the map.
    halved: bool

    @property
    def projected(self) -> bool:
        """Whether the way around needs a 1x1 convolution: the channels change."""
        return self.inputs != self.outputs


def stem(input_shape: tuple[int, ...], *, width: int) -> Iterator[StemConvolution]:
    """A convolution for each halving a large image needs, and one without for a small image.

    Several small kernels instead of one of 7x7 and a pooling: arXiv:1812.01187, section 4.1.
    """
    inputs, rows, columns = image_shape("resnet", input_shape)
    times = _stem_halvings(rows, columns)
    for _ in range(max(1, times)):
        if times:
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        yield StemConvolution(
            inputs=inputs, outputs=width, height=rows, width=columns, stride=2 if times else 1
        )
        inputs = width


def blocks(input_shape: tuple[int, ...], *, depth: int, width: int, stages: int) -> Iterator[Block]:
    """The blocks of all stages; each stage but the first doubles channels and halves the map.

    A map of which one side is a single pixel stays as it is.
    """
    *_, last = stem(input_shape, width=width)
    inputs, rows, columns = width, last.height, last.width
    for stage in range(stages):
        outputs = width << stage
        for block in range(depth):
            pixels = rows * columns
            halved = stage > 0 and block == 0 and min(rows, columns) > 1
            if halved:
                rows, columns = (rows + 1) // 2, (columns + 1) // 2
            yield Block(
                name=f"stage{stage + 1}.block{block + 1}",
                inputs=inputs, outputs=outputs, height=rows, width=columns,
                pixels_before=pixels, halved=halved,
            )  # fmt: skip
            inputs = outputs


def layers(config: Config, shape: DataShape) -> Iterator[Layer]:
    """The cost of each convolution of the stem, of each block, and of the head.

    Multiply-adds of convolutions and of the head are counted; the rest is below a few percent.
    """
    values = {h.name: h.default for h in hyperparameters(shape)} | dict(config)
    check(values)
    width, norm = int(values["width"]), values["normalisation"] != "none"
    for index, convolution in enumerate(stem(shape.input_shape, width=width), start=1):
        yield _stem_layer(f"stem{index}", convolution, norm=norm, first=index == 1)
    chain = blocks(
        shape.input_shape, depth=int(values["depth"]), width=width, stages=int(values["stages"])
    )
    for block in chain:
        yield _block_layer(block, norm=norm)
    yield Layer(
        name="head",
        parameters=2 * block.outputs * norm + (block.outputs + 1) * shape.outputs,
        flops=2 * block.outputs * shape.outputs,
        activations=(1 + norm) * block.outputs * block.height * block.width
        + block.outputs + shape.outputs,
    )  # fmt: skip


def _stem_layer(name: str, convolution: StemConvolution, *, norm: bool, first: bool) -> Layer:
    """Each but the first is preceded by a normalisation and an activation."""
    weights = 9 * convolution.inputs * convolution.outputs
    pixels = convolution.height * convolution.width
    before = 0 if first else (1 + norm) * convolution.inputs * 4 * pixels
    vectors = (0 if norm else convolution.outputs) + (0 if first else 2 * convolution.inputs * norm)
    return Layer(
        name=name,
        parameters=weights + vectors,
        flops=2 * weights * pixels,
        activations=before + convolution.outputs * pixels,
    )


def _block_layer(block: Block, *, norm: bool) -> Layer:
    inputs, outputs, pixels = block.inputs, block.outputs, block.height * block.width
    weights = 9 * inputs * outputs + 9 * outputs * outputs
    weights += inputs * outputs if block.projected else 0
    return Layer(
        name=block.name,
        parameters=weights + (2 * (inputs + outputs) if norm else 2 * outputs),
        flops=2 * weights * pixels,
        activations=(1 + norm) * inputs * block.pixels_before
        + (4 + norm + block.projected) * outputs * pixels,
    )


def _stem_halvings(rows: int, columns: int) -> int:
    """How often an image is halved before its longer side is at most `LARGEST_MAP`; at least once
    where it is longer than `LARGEST_WHOLE`."""
    side = max(rows, columns)
    return max(int(side > LARGEST_WHOLE), ((side - 1) // LARGEST_MAP).bit_length())


def _stages(input_shape: tuple[int, ...]) -> int:
    """As many stages as the images of arXiv:1512.03385 have, where the map can be halved so."""
    _channels, rows, columns = image_shape("resnet", input_shape)
    *_, last = stem(input_shape, width=1)
    usual = 3 if max(rows, columns) <= 32 else 4
    return min(usual, max(1, halvings(last.height, last.width)))


RESNET: Final = ModelEntry(
    name="resnet",
    summary="Blocks of two 3x3 convolutions, normalised and activated first, with a way around.",
    source="arXiv:1603.05027, with a stem for small images",
    build="models.networks.resnet:ResNet",
    hyperparameters=hyperparameters,
    layers=layers,
)
