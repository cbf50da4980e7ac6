"""What an exported network says of raw rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.catalog import DataRefused
from models.data.images.files import FolderTree
from models.data.images.layout import SUFFIXES, is_image
from models.data.preparation import RAW_ROWS, ImagePreparation, TextPreparation, preparation_of
from models.entries import loss_entry
from models.exported.continuation import Drawing, continuation
from models.exported.export import open_model
from models.importing import load
from models.losses.probabilities import probabilities_of

#: Rows that go through the network at once.
_CHUNK = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A network's answers, row by row."""

    #: Classes as the data has them, or numbers in the target's unit.
    values: list[object]
    #: Of each class its name and its probability (N,); empty where the target is a number, or the
    #: loss knows no probabilities.
    probabilities: dict[str, list[float]]
    #: The files the rows are, where each is one of its own; else empty.
    files: tuple[str, ...] = ()
    #: How a text goes on; None where rows were answered.
    text: str | None = None


def predict(
    model: Path,
    rows: Path,
    drawing: Drawing | None = None,
    *,
    allowed_code: Sequence[str] = (),
) -> Answers:
    """What the exported network in `model` says of the rows in a file.

    A network of tables takes a CSV or Parquet file with the columns it was trained with, the
    target aside; one of series such a file or a .ts file, and there is one answer for each series;
    one of images a folder of images, an image, or a NumPy file of bytes (N, C, H, W). One of texts
    takes a text file and writes on, drawing characters as `drawing` says.

    Raises:
        CheckpointCorrupt: `model` is damaged, or another kind of file.
        DataRefused: the rows are not such as the network was trained with.
        PartRefused: `model` needs code by import path, not from modules in `allowed_code`.
    """
    return answers_of(*open_model(model, allowed_code), rows, drawing)


def answers_of(
    about: Mapping[str, Any], module: nn.Module, rows: Path, drawing: Drawing | None = None
) -> Answers:
    """What `predict` answers, of a network that `models.exported.export.open_model` gave."""
    kind, loss = about["preparation"]["kind"], about["recipe"]["loss"]
    if kind in RAW_ROWS:
        raw = load(RAW_ROWS[kind]).from_json(about["preparation"][kind])
        return _of_raw_rows(module, raw, rows, loss)
    preparation = preparation_of(about["preparation"])
    if isinstance(preparation, TextPreparation):
        (context,) = about["shape"]["input_shape"]
        text = continuation(module, preparation.vocabulary, context, rows, drawing or Drawing())
        return Answers(values=[], probabilities={}, text=text)
    assert isinstance(preparation, ImagePreparation)
    shape = tuple(about["shape"]["input_shape"])
    files: tuple[str, ...] = ()
    if rows.is_dir() or is_image(rows.name):
        files, parts = _image_files(rows, shape, preparation.fit)
    else:
        parts = _chunks(_images(rows, shape, floats=preparation.floats))
    with torch.inference_mode():
        outputs = torch.cat([module(preparation(part)) for part in parts])
    if about["shape"]["classes"]:
        answers = _of_classes(loss, outputs, preparation.classes or range(outputs.shape[1]))
    else:
        answers = _of_numbers(loss, outputs, unit=preparation.unit, zero=preparation.zero)
    return replace(answers, files=files)


def _of_classes(loss: str, logits: Tensor, classes: Sequence[object]) -> Answers:
    """The likeliest of `classes`, and the probabilities where the loss knows any."""
    values = [classes[code] for code in logits.argmax(1).tolist()]
    shares = probabilities_of(loss, logits.double())
    named = zip(map(str, classes), [] if shares is None else shares.T.tolist(), strict=False)
    return Answers(values=values, probabilities=dict(named))


def _of_raw_rows(module: nn.Module, preparation: Any, rows: Path, loss: str) -> Answers:
    """`preparation` is one of those in `RAW_ROWS`."""
    inputs = torch.from_numpy(preparation.inputs(rows))
    with torch.inference_mode():
        outputs = torch.cat([module(part) for part in _chunks(inputs)])
    target = preparation.target
    if target.classes:
        return _of_classes(loss, outputs, target.classes)
    return _of_numbers(loss, outputs, unit=target.std, zero=target.mean)


def _of_numbers(loss: str, outputs: Tensor, *, unit: float, zero: float) -> Answers:
    numbers = outputs.double().squeeze(1)
    if loss_entry(loss).link == "log":
        return Answers(values=numbers.exp().tolist(), probabilities={})
    return Answers(values=(numbers * unit + zero).tolist(), probabilities={})


def _chunks(rows: Tensor) -> Iterator[Tensor]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))


def _image_files(
    path: Path, shape: tuple[int, ...], fit: str | None
) -> tuple[tuple[str, ...], Iterator[Tensor]]:
    """Names of the images in the folder, or of the one, and their pixels part by part."""
    if fit is None:
        raise DataRefused(
            f"{path} holds images, but the network was trained with arrays; give it a NumPy file "
            "of bytes scaled like those."
        )
    from models.data.images.pixels import pixels_of_all

    folder = path if path.is_dir() else path.parent
    tree = FolderTree(folder=folder, links_below=(Path("/"),))
    names = tuple(filter(is_image, tree.names)) if path.is_dir() else (path.name,)
    if not names:
        raise DataRefused(f"{path} has no image ({', '.join(SUFFIXES)}); name another folder.")
    starts = range(0, len(names), _CHUNK)
    parts = (pixels_of_all(tree, names[i : i + _CHUNK], shape, fit) for i in starts)
    return names, map(torch.from_numpy, parts)


def _images(path: Path, input_shape: tuple[int, ...], *, floats: bool) -> Tensor:
    try:
        images = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataRefused(
            f"{path} is no NumPy file: {error}; save the images with numpy.save."
        ) from error
    wish = " x ".join(map(str, input_shape))
    if floats and images.dtype.kind == "f" and images.shape[1:] == input_shape:
        return torch.from_numpy(images.astype(np.float32))
    if floats:
        raise DataRefused(
            f"{path} holds {images.dtype} of shape {images.shape}; the network takes floats in the "
            f"scale it was trained with, {wish} an image."
        )
    if images.dtype != np.uint8 or images.shape[1:] != input_shape:
        raise DataRefused(
            f"{path} holds {images.dtype} of shape {images.shape}; the network takes bytes, "
            f"{wish} an image: an array of uint8, (N, {wish.replace(' x ', ', ')})."
        )
    return torch.from_numpy(images)
