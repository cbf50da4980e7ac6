"""Arguments of one's own network that the data fills, told by their names. Torch-free."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final

from models.catalog import DataShape

Fill = Callable[[DataShape], Any]


def _channels(shape: DataShape) -> int | None:
    return shape.input_shape[0] if shape.kind in ("image", "series") else None


def _features(shape: DataShape) -> int | None:
    """Numbers a network gets at once: all of an example, and of a series those of a step."""
    if shape.kind == "text":
        return None
    return shape.input_shape[0] if shape.kind == "series" else prod(shape.input_shape)


def _length(shape: DataShape) -> int | None:
    return shape.input_shape[-1] if shape.kind in ("series", "text") else None


def _height(shape: DataShape) -> int | None:
    return shape.input_shape[1] if shape.kind == "image" else None


def _width(shape: DataShape) -> int | None:
    return shape.input_shape[2] if shape.kind == "image" else None


def _side(shape: DataShape) -> int | tuple[int, ...] | None:
    if shape.kind != "image":
        return None
    height, width = shape.input_shape[1:]
    return height if height == width else (height, width)


def _characters(shape: DataShape) -> int | None:
    return shape.classes if shape.kind == "text" else None


def _by_names(fills: Mapping[str, Fill]) -> Mapping[str, Fill]:
    return {name: fill for names, fill in fills.items() for name in names.split()}


#: Names that say so much of the data that a default is not looked at.
ALWAYS: Final = _by_names(
    {
        "input_shape in_shape": lambda shape: shape.input_shape,
        "in_channels input_channels num_channels n_channels in_chans": _channels,
        "in_features input_size input_dim in_dim input_features n_inputs num_inputs": _features,
        "image_size img_size": _side,
        "num_classes n_classes nb_classes classes out_features output_size output_dim out_dim "
        "num_outputs n_outputs outputs": lambda shape: shape.outputs,
        "categories": lambda shape: shape.categories,
        "sequence_length seq_len seq_length input_length context_length block_size": _length,
        "vocab_size vocabulary_size num_embeddings n_tokens num_tokens": _characters,
    }
)
#: Names that with a default are a network's own business.
IF_REQUIRED: Final = _by_names(
    {
        "channels": _channels,
        "features num_features n_features": _features,
        "height": _height,
        "width": _width,
        "length context max_len max_length": _length,
    }
)


def is_filled(name: str, *, required: bool, names: frozenset[str]) -> bool:
    """Whether data of some kind gives the argument; `names` are those of all required ones.

    ``width`` alone is how wide a network is; beside ``height`` it is an image's.
    """
    if name == "width" and "height" not in names:
        return False
    return name in ALWAYS or (required and name in IF_REQUIRED)


def value_of(name: str, shape: DataShape) -> Any:
    """What the data gives an argument for which `is_filled` holds; None where it has no such."""
    return (ALWAYS.get(name) or IF_REQUIRED[name])(shape)


def missing(path: str, name: str, kind: str) -> str:
    """What is said where nothing gives a required argument; `kind` is that of the data."""
    return (
        f"{path} wants {name}, which {kind} data does not give: give it a default, or a value or a "
        f"range in space, as in space: {{{name}: 3}}."
    )
