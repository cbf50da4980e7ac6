"""The recurrent network's catalogue entry: its hyperparameters and what it costs."""

from collections.abc import Iterator
from typing import Final

from models.catalog import DataShape, Layer, ModelEntry
from models.domains import READOUTS, check
from models.hyperparameters import Choice, Config, Hyperparameter, Integer, Real
from models.networks.sequences import patch_lengths, patches, series_shape

#: Steps that are left of a series at most, by default: they are taken one after another.
MOST_STEPS: Final = 128


def hyperparameters(shape: DataShape) -> tuple[Hyperparameter, ...]:
    """The default space; its costliest corner costs at most ten times its default.

    Twice as wide and a layer more costs seven times as much.
    """
    _channels, length = series_shape("gru", shape.input_shape)
    sizes = patch_lengths(length, MOST_STEPS)
    return (
        Choice(name="patch", choices=sizes, default=sizes[0],
               source="steps of time taken as one; 128 are left, or fewer: gradients reach few "
                      "hundred steps (Bengio, Simard and Frasconi, IEEE Transactions on Neural "
                      "Networks 1994), and time goes with their number"),
        Integer(name="depth", low=1, high=3, default=2,
                source="1 to 3 layers: arXiv:1503.04069, section 4, and common practice"),
        Integer(name="width", low=16, high=128, default=64, step=16,
                source="20 to 200: arXiv:1503.04069, section 4.3; a factor of 2 up"),
        Choice(name="bidirectional", choices=(False, True), default=True,
               source="a series is known to its end: Schuster and Paliwal, "
                      "IEEE Transactions on Signal Processing 1997"),
        Choice(name="readout", choices=READOUTS, default="max",
               source="the largest is better than the mean: arXiv:1705.02364, section 3.2; "
                      "last: arXiv:1406.1078"),
        Real(name="dropout", low=0.0, high=0.5, default=0.0,
             source="between layers, not between steps: arXiv:1409.2329"),
    )  # fmt: skip


def layers(config: Config, shape: DataShape) -> Iterator[Layer]:
    """The cost of each recurrent layer, both ways, and of the head."""
    values = {h.name: h.default for h in hyperparameters(shape)} | dict(config)
    check(values)
    channels, length = series_shape("gru", shape.input_shape)
    patch, width, ways = (
        int(values["patch"]),
        int(values["width"]),
        1 + bool(values["bidirectional"]),
    )
    steps, inputs = patches(length, patch), channels * patch
    for index in range(1, int(values["depth"]) + 1):
        weights = ways * 3 * width * (inputs + width)
        yield Layer(
            name=f"layer{index}",
            parameters=weights + ways * 6 * width,
            flops=2 * steps * weights,
            # Both sums of three gates, what becomes of them, and the state.
            activations=steps * (inputs + ways * 12 * width),
        )
        inputs = ways * width
    yield Layer(
        name="head",
        parameters=(inputs + 1) * shape.outputs,
        flops=2 * inputs * shape.outputs,
        activations=inputs + shape.outputs,
    )


GRU: Final = ModelEntry(
    name="gru",
    summary="Gated recurrent layers, forwards and backwards in time, and a linear head.",
    source="arXiv:1406.1078, section 2.3",
    build="models.networks.gru:GRU",
    hyperparameters=hyperparameters,
    layers=layers,
    kinds=("series",),
    clip_norm=1.0,
)
