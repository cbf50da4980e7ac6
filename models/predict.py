"""What an exported network says of raw rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.catalog import DataRefused
from models.entries import catalog
from models.export import open_model
from models.image_files import FolderTree
from models.image_folder.layout import SUFFIXES, is_image
from models.preparation import ImagePreparation, preparation_of

#: Rows that go through the network at once.
_CHUNK = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A network's answers, row by row."""

    #: Classes as the data has them, or numbers in the target's unit.
    values: list[object]
    #: Of each class its name and its probability (N,); empty where the target is a number.
    probabilities: dict[str, list[float]]
    #: The files the rows are, where each is one of its own; else empty.
    files: tuple[str, ...] = ()


def predict(model: Path, rows: Path) -> Answers:
    """What the exported network in `model` says of the rows in a file.

    A network of tables takes a CSV or Parquet file with the columns it was trained with, the
    target aside; one of images a folder of images, an image, or a NumPy file of bytes
    (N, C, H, W).

    Raises:
        CheckpointCorrupt: `model` is damaged, or another kind of file.
        DataRefused: the rows are not such as the network was trained with.
    """
    about, module = open_model(model)
    if about["preparation"]["kind"] == "table":
        link = catalog().losses[about["recipe"]["loss"]].link
        return _of_table(module, about["preparation"]["table"], rows, link)
    preparation = preparation_of(about["preparation"])
    assert isinstance(preparation, ImagePreparation)
    shape = tuple(about["shape"]["input_shape"])
    files: tuple[str, ...] = ()
    if rows.is_dir() or is_image(rows.name):
        files, parts = _image_files(rows, shape, preparation.fit)
    else:
        parts = _chunks(_images(rows, shape))
    with torch.inference_mode():
        logits = torch.cat([module(preparation(part)) for part in parts])
    shares = logits.softmax(1)
    names: list[object] = list(preparation.classes or range(shares.shape[1]))
    values = [names[code] for code in shares.argmax(1).tolist()]
    named = {str(names[code]): share.tolist() for code, share in enumerate(shares.unbind(1))}
    return Answers(values=values, probabilities=named, files=files)


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


def _image_files(
    path: Path, shape: tuple[int, ...], fit: str | None
) -> tuple[tuple[str, ...], Iterator[Tensor]]:
    """Names of the images in the folder, or of the one, and their pixels part by part."""
    if fit is None:
        raise DataRefused(
            f"{path} holds images, but the network was trained with arrays; give it a NumPy file "
            "of bytes scaled like those."
        )
    from models.image_folder.pixels import pixels_of_all

    folder = path if path.is_dir() else path.parent
    tree = FolderTree(folder=folder, links_below=(Path("/"),))
    names = tuple(filter(is_image, tree.names)) if path.is_dir() else (path.name,)
    if not names:
        raise DataRefused(f"{path} has no image ({', '.join(SUFFIXES)}); name another folder.")
    starts = range(0, len(names), _CHUNK)
    parts = (pixels_of_all(tree, names[i : i + _CHUNK], shape, fit) for i in starts)
    return names, map(torch.from_numpy, parts)


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
