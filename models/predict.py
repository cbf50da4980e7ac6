"""What an exported network says of raw rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.catalog import DataRefused
from models.entries import catalog
from models.export import open_model
from models.preparation import ImagePreparation, preparation_of

#: Rows that go through the network at once.
_CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A network's answers, row by row."""

    #: Classes as the data has them, or numbers in the target's unit.
    values: list[object]
    #: Of each class its name and its probability (N,); empty where the target is a number.
    probabilities: dict[str, list[float]]


def predict(model: Path, rows: Path) -> Answers:
    """What the exported network in `model` says of the rows in a file.

    A network of tables takes a CSV or Parquet file with the columns it was trained with, the
    target aside; one of images a NumPy file of bytes (N, C, H, W).

    Raises:
        CheckpointCorrupt: `model` is damaged, or another kind of file.
        DataRefused: the rows are not such as the network was trained with.
    """
    return answers_of(*open_model(model), rows)


def answers_of(about: Mapping[str, Any], module: nn.Module, rows: Path) -> Answers:
    """What `predict` answers, of a network that `models.export.open_model` gave."""
    if about["preparation"]["kind"] == "table":
        link = catalog().losses[about["recipe"]["loss"]].link
        return _of_table(module, about["preparation"]["table"], rows, link)
    preparation = preparation_of(about["preparation"])
    assert isinstance(preparation, ImagePreparation)
    images = _images(rows, tuple(about["shape"]["input_shape"]))
    with torch.inference_mode():
        logits = torch.cat([module(preparation(part)) for part in _chunks(images)])
    shares = logits.softmax(1)
    names: list[object] = list(preparation.classes or range(shares.shape[1]))
    values = [names[code] for code in shares.argmax(1).tolist()]
    named = {str(names[code]): share.tolist() for code, share in enumerate(shares.unbind(1))}
    return Answers(values=values, probabilities=named)


def _of_table(module: nn.Module, document: dict[str, object], rows: Path, link: str) -> Answers:
    from models.tables.preparation import TablePreparation

    preparation = TablePreparation.from_json(document)
    inputs = torch.from_numpy(preparation.inputs(rows))
    with torch.inference_mode():
        outputs = torch.cat([module(part) for part in _chunks(inputs)])
    if link == "log":
        return Answers(values=outputs.exp().squeeze(1).tolist(), probabilities={})
    answers = preparation.labels(outputs.numpy())
    shares = {}
    if answers.probabilities is not None:
        names = map(str, preparation.target.classes)
        shares = dict(zip(names, answers.probabilities.T.tolist(), strict=True))
    return Answers(values=list(answers.values), probabilities=shares)


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
