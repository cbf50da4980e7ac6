"""The transformer's catalogue entry: its hyperparameters and, in integers, what it costs."""

from collections.abc import Iterator
from typing import Final

from models.catalog import ConfigRefused, DataShape, Layer, ModelEntry
from models.domains import ACTIVATIONS, check
from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real
from models.networks.attention_cost import block_layer
from models.networks.sequences import patch_lengths, patches, series_shape

#: Tokens of a series at most, by default: attention costs the square of their number.
MOST_TOKENS: Final = 64
_FT: Final = "arXiv:2106.11959"
_PATCHTST: Final = "arXiv:2211.14730"


def hyperparameters(shape: DataShape) -> tuple[Hyperparameter, ...]:
    """The default space; its costliest corner costs at most ten times its default.

    Twice as wide, a third deeper and with twice the hidden layer costs nearly eight times as much.
    """
    table = is_table(shape.input_shape)
    return (
        *(() if table else _of_series(shape.input_shape)),
        Integer(name="depth", low=1, high=4, default=3,
                source=f"1 to 4, and 3 by default: {_FT}, appendix; 3: {_PATCHTST}, appendix"),
        Integer(name="width", low=32, high=128, default=64, step=16,
                source=f"64 to 512: {_FT}, appendix; 16 and 128: {_PATCHTST}, appendix; "
                       "a factor of 2 up and down, small enough for a CPU"),
        Choice(name="heads", choices=(1, 2, 4, 8), default=4,
               source="the width of a head matters little: arXiv:1706.03762, table 3, row A"),
        Choice(name="mlp_ratio", choices=(1, 2), default=1,
               source=f"2/3 to 8/3 of a gated layer, and 4/3 by default: {_FT}, appendix"),
        Choice(name="activation", choices=ACTIVATIONS, default="relu" if table else "gelu",
               source=f"of the gate: ReGLU {_FT}, section 3.3; GELU {_PATCHTST}; "
                      "the others: arXiv:2002.05202"),
        Real(name="attention_dropout", low=0.0, high=0.5, default=0.2 if table else 0.0,
             source=f"0 to 0.5, and 0.2 by default: {_FT}, appendix; none: {_PATCHTST}"),
        Real(name="dropout", low=0.0, high=0.5, default=0.1,
             source=f"of the hidden layers: 0 to 0.5, and 0.1 by default: {_FT}, appendix"),
        Real(name="residual_dropout", low=0.0, high=0.2, default=0.0,
             source=f"0 to 0.2, and 0 by default: {_FT}, appendix"),
    )  # fmt: skip


def _of_series(input_shape: tuple[int, ...]) -> tuple[Hyperparameter, ...]:
    _channels, length = series_shape("transformer", input_shape)
    sizes = patch_lengths(length, MOST_TOKENS)
    # Among few patches a token more costs much.
    many = patches(length, sizes[0]) >= 16
    return (
        Choice(name="patch", choices=sizes, default=sizes[0],
               source=f"steps of time; 64 tokens or fewer: {_PATCHTST}, section 3.1"),
        Choice(name="class_token", choices=(False, True) if many else (False,), default=False,
               source="the mean is better: arXiv:2205.01580"),
    )  # fmt: skip


def is_table(input_shape: tuple[int, ...]) -> bool:
    """Whether examples are rows, and not series.

    Raises:
        ConfigRefused: they are neither.
    """
    if len(input_shape) > 2:
        message = f"takes tables and series, not examples of {input_shape}"
        raise ConfigRefused("model", "transformer", message)
    return len(input_shape) == 1


def layers(config: Config, shape: DataShape) -> Iterator[Layer]:
    """The cost of the tokens, of each block, and of the head.

    Multiply-adds of matrices and of attention are counted; the rest is below a few percent.
    """
    values = {h.name: h.default for h in hyperparameters(shape)} | dict(config)
    check(values)
    table, width = is_table(shape.input_shape), int(values["width"])
    if table:
        tokens = shape.input_shape[0] + 1
        yield _columns(shape, width)
    else:
        tokens = patches(shape.input_shape[1], int(values["patch"])) + bool(values["class_token"])
        yield _patches(values, shape.input_shape, width)
    for index in range(1, int(values["depth"]) + 1):
        yield block_layer(
            f"block{index}",
            tokens,
            width=width,
            heads=int(values["heads"]),
            hidden=width * int(values["mlp_ratio"]),
            gated=True,
            normalise_first=not table or index > 1,
            weights_kept=values["attention_dropout"] != 0,
        )
    yield Layer(
        name="head",
        parameters=2 * width + (width + 1) * shape.outputs,
        flops=2 * width * shape.outputs,
        activations=(tokens + 1) * width + shape.outputs,
    )


def _columns(shape: DataShape, width: int) -> Layer:
    (columns,) = shape.input_shape
    numbers = columns - len(shape.categories)
    return Layer(
        name="columns",
        # A weight for each number, a vector for each code, a bias for each column, and one token.
        parameters=(numbers + sum(shape.categories) + columns + 1) * width,
        flops=0,
        activations=(3 * columns + 1) * width,
    )


def _patches(values: Config, input_shape: tuple[int, ...], width: int) -> Layer:
    channels, length = input_shape
    patch, token = int(values["patch"]), bool(values["class_token"])
    count, numbers = patches(length, patch), channels * patch
    return Layer(
        name="patches",
        parameters=(numbers + 1) * width + (count + 2 * token) * width,
        flops=2 * count * numbers * width,
        activations=count * numbers + 2 * (count + token) * width,
    )


TRANSFORMER: Final = ModelEntry(
    name="transformer",
    summary="A small transformer: the columns of a table, or patches of a series, as tokens.",
    source=f"FT-Transformer for tables ({_FT}), PatchTST's patches for series ({_PATCHTST})",
    build="models.networks.transformer:Transformer",
    hyperparameters=hyperparameters,
    layers=layers,
    kinds=("series", "table"),
    clip_norm=1.0,
)
