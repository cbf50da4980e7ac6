"""The character model's catalogue entry: its hyperparameters and, in integers, what it costs."""

from collections.abc import Iterator
from typing import Final

from models.catalog import ConfigRefused, DataShape, Layer, ModelEntry
from models.domains import check
from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real
from models.networks.attention_cost import block_layer

#: A hidden layer is so many times as wide as a token: arXiv:1706.03762, section 3.3.
HIDDEN_RATIO: Final = 4


def hyperparameters(shape: DataShape) -> tuple[Hyperparameter, ...]:
    """The default space; its costliest corner costs at most ten times its default.

    Cost grows with the square of the width and in proportion to the depth: twice as wide and
    twice as deep costs eight times as much. An epoch over a megabyte of text takes the default
    half a minute on one core.
    """
    return (
        Integer(name="depth", low=1, high=6, default=3,
                source="nanoGPT has 4 for a CPU and 6 for a small GPU"),
        Integer(name="width", low=32, high=128, default=64, step=16,
                source="nanoGPT has 128 for a CPU; a factor of 2 up and down; cost grows with the "
                       "square"),
        Choice(name="heads", choices=(2, 4, 8), default=4,
               source="nanoGPT has 4; the width of a head matters little: arXiv:1706.03762, "
                      "table 3, row A"),
        Choice(name="tied", choices=(False, True), default=True,
               source="arXiv:1608.05859; GPT-2: Radford et al., 2019"),
        Real(name="dropout", low=0.0, high=0.3, default=0.0,
             source="0.1: arXiv:1706.03762, section 5.4; nanoGPT has 0 for a short training and "
                    "0.2 for a long one on a megabyte"),
    )  # fmt: skip


def text_shape(input_shape: tuple[int, ...]) -> int:
    """The context.

    Raises:
        ConfigRefused: examples are no windows of a text.
    """
    if len(input_shape) != 1:
        raise ConfigRefused("model", "char_lm", f"takes texts, not examples of {input_shape}")
    return input_shape[0]


def layers(config: Config, shape: DataShape) -> Iterator[Layer]:
    """The cost of the embedding, of each block, and of the head.

    Multiply-adds of matrices and of attention are counted, those that the mask hides included; the
    rest is below a few percent.
    """
    context = text_shape(shape.input_shape)
    values = {h.name: h.default for h in hyperparameters(shape)} | dict(config)
    check(values)
    width, heads = int(values["width"]), int(values["heads"])
    yield Layer(
        name="characters",
        parameters=(shape.classes + context) * width,
        flops=0,
        activations=2 * context * width,
    )
    for index in range(1, int(values["depth"]) + 1):
        yield block_layer(
            f"block{index}", context, width=width, heads=heads, hidden=HIDDEN_RATIO * width
        )
    yield Layer(
        name="head",
        parameters=2 * width + (0 if values["tied"] else shape.classes * width),
        flops=2 * context * width * shape.classes,
        # The logits, and their log-softmax in the loss.
        activations=context * (width + 2 * shape.classes),
    )


CHAR_LM: Final = ModelEntry(
    name="char_lm",
    summary="A small transformer that predicts a text's next character from those before it.",
    source="Radford et al., 2019 (GPT-2), of the size of nanoGPT's for a CPU",
    build="models.networks.char_lm:CharLM",
    hyperparameters=hyperparameters,
    layers=layers,
    kinds=("text",),
    clip_norm=1.0,
)
