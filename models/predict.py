"""What an exported network says of raw rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.catalog import DataRefused
from models.entries import loss_entry
from models.export import open_model
from models.preparation import ImagePreparation, preparation_of
from models.probabilities import probabilities_of

#: Rows that go through the network at once.
_CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A network's answers, row by row."""

    #: Classes as the data has them, or numbers in the target's unit.
    values: list[object]
    #: Of each class its name and its probability (N,); empty where the target is a number, or the
    #: loss knows no probabilities.
    probabilities: dict[str, list[float]]


def predict(model: Path, rows: Path) -> Answers:
    """What the exported network in `model` says of the rows in a file.

    A network of tables takes a CSV or Parquet file with the columns it was trained with, the
    target aside; one of images a NumPy file of bytes (N, C, H, W).

    Raises:
        CheckpointCorrupt: `model` is damaged, or another kind of file.
        DataRefused: the rows are not such as the network was trained with.
    """
    about, module = open_model(model)
    loss = about["recipe"]["loss"]
    if about["preparation"]["kind"] == "table":
        return _of_table(module, about["preparation"]["table"], rows, loss)
    preparation = preparation_of(about["preparation"])
    assert isinstance(preparation, ImagePreparation)
    images = _images(rows, tuple(about["shape"]["input_shape"]))
    with torch.inference_mode():
        logits = torch.cat([module(preparation(part)) for part in _chunks(images)])
    return _of_classes(loss, logits, preparation.classes or range(logits.shape[1]))


def _of_classes(loss: str, logits: Tensor, classes: Sequence[object]) -> Answers:
    """The likeliest of `classes`, and the probabilities where the loss knows any."""
    values = [classes[code] for code in logits.argmax(1).tolist()]
    shares = probabilities_of(loss, logits.double())
    named = zip(map(str, classes), [] if shares is None else shares.T.tolist(), strict=False)
    return Answers(values=values, probabilities=dict(named))


def _of_table(module: nn.Module, document: dict[str, object], rows: Path, loss: str) -> Answers:
    from models.tables.preparation import TablePreparation

    preparation = TablePreparation.from_json(document)
    inputs = torch.from_numpy(preparation.inputs(rows))
    with torch.inference_mode():
        outputs = torch.cat([module(part) for part in _chunks(inputs)])
    if preparation.target.classes:
        return _of_classes(loss, outputs, preparation.target.classes)
    if loss_entry(loss).link == "log":
        return Answers(values=outputs.exp().squeeze(1).tolist(), probabilities={})
    return Answers(values=[*preparation.numbers_of(outputs.numpy())], probabilities={})


def _chunks(rows: Tensor) -> Iterator[Tensor]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))


def _images(path: Path, input_shape: tuple[int, ...]) -> Tensor:
    try:
        images = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataRefused(
            f"{path} is no NumPy file: {error}; save the images with numpy.save."
        ) from error
    if images.dtype != np.uint8 or images.shape[1:] != input_shape:
        wish = " x ".join(map(str, input_shape))
        raise DataRefused(
            f"{path} holds {images.dtype} of shape {images.shape}; the network takes bytes, "
            f"{wish} an image: an array of uint8, (N, {wish.replace(' x ', ', ')})."
        )
    return torch.from_numpy(images)
