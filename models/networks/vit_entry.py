"""The vision transformer's catalogue entry: its hyperparameters and, in integers, what it costs."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Final

from models.catalog import DataShape, Layer, ModelEntry
from models.domains import ACTIVATIONS, check
from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real
from models.networks.attention_cost import block_layer
from models.networks.images import image_shape


def hyperparameters(shape: DataShape) -> tuple[Hyperparameter, ...]:
    """The default space; its costliest corner costs at most ten times its default.

    Cost grows with the square of the width and in proportion to the depth: twice as wide, half
    as deep again and with twice the hidden layer costs nine times as much.
    """
    sizes = patch_sizes(shape.input_shape)
    # Among few patches a token more costs much.
    many = grid(shape.input_shape, sizes[0]).patches >= 16
    return (
        Choice(name="patch", choices=sizes, default=sizes[0],
               source="pixels a side; a small image in 4x4 to 8x8 patches costs what a chain of "
                      "convolutions may, and larger patches less: arXiv:2010.11929, section 4.1"),
        Integer(name="depth", low=2, high=6, default=4,
                source="small transformers for small images: arXiv:2104.05704, section 4"),
        Integer(name="width", low=32, high=128, default=64, step=16,
                source="a factor of 2 up and down; cost grows with the square; every number of "
                       "heads divides it"),
        Choice(name="heads", choices=(1, 2, 4, 8), default=4,
               source="the width of a head matters little: arXiv:1706.03762, table 3, row A"),
        Choice(name="mlp_ratio", choices=(1, 2, 4), default=2,
               source="4: arXiv:2010.11929, table 1; 1 to 3 for small images: arXiv:2104.05704"),
        Choice(name="class_token", choices=(False, True) if many else (False,), default=False,
               source="arXiv:2010.11929, appendix D.3; the mean is better: arXiv:2205.01580"),
        Choice(name="activation", choices=ACTIVATIONS, default="gelu",
               source="gelu: arXiv:2010.11929, section 3.1"),
        Real(name="dropout", low=0.0, high=0.3, default=0.0,
             source="0 or 0.1: arXiv:2106.10270, section 3.3"),
        Real(name="stochastic_depth", low=0.0, high=0.3, default=0.0,
             source="0 or 0.1: arXiv:2106.10270, section 3.3"),
    )  # fmt: skip


def patch_sizes(input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Sides of a patch, smallest first: about eight to a side of the image, or half as many.

    Only sizes that divide both sides of the image, where there are any. An image of 5 to 16
    pixels has about four patches to a side at most: fewer pixels a patch tell too little.
    """
    _channels, rows, columns = image_shape("vit", input_shape)
    longer = max(rows, columns)
    smallest = max(-(-longer // 8), min(2, longer // 4), 1)
    common = gcd(rows, columns)
    sizes = [size for size in range(smallest, 2 * smallest + 1) if common % size == 0]
    return tuple(sizes) or (smallest, 2 * smallest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """An image cut into square patches, filled up with zeros to the right and below."""

    channels: int
    patch: int
    #: Patches below each other, and beside each other.
    rows: int
    columns: int
    #: Pixels filled up.
    below: int
    right: int

    @property
    def patches(self) -> int:
        """How many."""
        return self.rows * self.columns

    @property
    def numbers(self) -> int:
        """In a patch."""
        return self.channels * self.patch**2


def grid(input_shape: tuple[int, ...], patch: int) -> Grid:
    """The patches of an image; any size of patch will do."""
    channels, height, width = image_shape("vit", input_shape)
    return Grid(
        channels=channels,
        patch=patch,
        rows=-(-height // patch),
        columns=-(-width // patch),
        below=-height % patch,
        right=-width % patch,
    )


def layers(config: Config, shape: DataShape) -> Iterator[Layer]:
    """The cost of the embedding of patches, of each block, and of the head.

    Multiply-adds of matrices and of attention are counted; the rest is below a few percent.
    """
    values = {h.name: h.default for h in hyperparameters(shape)} | dict(config)
    check(values)
    cut, width = grid(shape.input_shape, int(values["patch"])), int(values["width"])
    token = bool(values["class_token"])
    tokens = cut.patches + token
    yield Layer(
        name="patches",
        parameters=(cut.numbers + 1) * width + (tokens + token) * width,
        flops=2 * cut.patches * cut.numbers * width,
        activations=cut.patches * cut.numbers + 2 * tokens * width,
    )
    heads, hidden = int(values["heads"]), width * int(values["mlp_ratio"])
    for index in range(1, int(values["depth"]) + 1):
        yield block_layer(f"block{index}", tokens, width=width, heads=heads, hidden=hidden)
    yield Layer(
        name="head",
        parameters=2 * width + (width + 1) * shape.outputs,
        flops=2 * width * shape.outputs,
        activations=(tokens + 1) * width + shape.outputs,
    )


VIT: Final = ModelEntry(
    name="vit",
    summary="A small vision transformer: patches as tokens that attend to each other.",
    source="arXiv:2010.11929, of a size for small images",
    build="models.networks.vit:ViT",
    hyperparameters=hyperparameters,
    layers=layers,
    # arXiv:2010.11929, table 3.
    clip_norm=1.0,
)
