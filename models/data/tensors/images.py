"""Images with classes: read from their files, divided class by class, and normalised."""

import gzip
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.catalog import DataShape, DataSource
from models.data.dataset import Dataset, Split, fingerprint_of
from models.data.entry import (
    DIGITS_VALIDATION,
    IDX_VALIDATION,
    check_idx_folder,
    digits_file,
    fashion_mnist_folder,
    idx_folder,
)
from models.data.images.idx import IdxPair, data_of
from models.data.preparation import ImagePreparation
from models.data.stratified import validation_counts


def digits_files(source: DataSource, roots: tuple[str, ...]) -> tuple[Path, ...]:
    """scikit-learn's one file."""
    return (digits_file(),)


def read_digits(source: DataSource, roots: tuple[str, ...], split_seed: int) -> Dataset:
    """8x8 images, of which a fifth validates."""
    with gzip.open(digits_file()) as file:
        table = torch.tensor([[int(v) for v in line.split(b",")] for line in file])
    images = table[:, :64].to(torch.uint8).view(-1, 1, 8, 8)
    rows = Split(inputs=images, labels=table[:, 64])
    return divided(source.name, rows, None, DIGITS_VALIDATION, split_seed)


def idx_files(source: DataSource, roots: tuple[str, ...]) -> tuple[Path, ...]:
    """The IDX files of the user's folder."""
    return _idx_files(idx_folder(source, roots))


def read_idx(source: DataSource, roots: tuple[str, ...], split_seed: int) -> Dataset:
    """The user's folder, of whose training images a sixth validates."""
    return _read_folder(source.name, idx_folder(source, roots), split_seed)


def fashion_mnist_files(source: DataSource, roots: tuple[str, ...]) -> tuple[Path, ...]:
    """The IDX files of Fashion-MNIST."""
    return _idx_files(fashion_mnist_folder(source, roots))


def read_fashion_mnist(source: DataSource, roots: tuple[str, ...], split_seed: int) -> Dataset:
    """28x28 images, 10,000 of which validate."""
    return _read_folder(source.name, fashion_mnist_folder(source, roots), split_seed)


def _idx_files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob("*-ubyte*")))


def _read_folder(name: str, folder: Path, split_seed: int) -> Dataset:
    checked = check_idx_folder(folder)
    test = _read_pair(checked.test) if checked.test else None
    train = _read_pair(checked.train)
    return divided(name, train, test, IDX_VALIDATION, split_seed, fit="crop")


def _read_pair(pair: IdxPair) -> Split:
    rows, height, width = pair.images.sizes
    images = torch.frombuffer(bytearray().join(data_of(pair.images)), dtype=torch.uint8)
    labels = torch.frombuffer(bytearray().join(data_of(pair.labels)), dtype=torch.uint8)
    return Split(inputs=images.view(rows, 1, height, width), labels=labels.long())


def divided(
    name: str,
    rows: Split,
    test: Split | None,
    validation: Fraction,
    split_seed: int,
    *,
    classes: tuple[Any, ...] = (),
    fit: str | None = None,
) -> Dataset:
    """Images of which a share of each class validates; `classes` names their codes."""
    validates = drawn(rows.labels, validation, torch.Generator().manual_seed(split_seed))
    return image_dataset(
        name,
        train=_rows(rows, ~validates),
        val=_rows(rows, validates),
        test=test,
        classes=classes,
        fit=fit,
    )


def image_dataset(
    name: str,
    *,
    train: Split,
    val: Split,
    test: Split | None,
    classes: tuple[Any, ...],
    fit: str | None,
) -> Dataset:
    """Divided images as a data set, normalised by the training images."""
    splits = _named(train, val, test)
    labels = {label for split in splits.values() for label in split.labels.tolist()}
    learned = Counter(train.labels.tolist())
    shape = replace(
        _shape_of(splits),
        classes=len(labels),
        labels=(min(labels), max(labels)),
        class_rows=tuple(learned[label] for label in sorted(labels)),
    )
    return _dataset(name, splits, shape, _normalising(train, classes=classes, fit=fit))


def measured_images(name: str, *, train: Split, val: Split, test: Split | None) -> Dataset:
    """As `image_dataset`, of targets that are numbers, standardised by those of training."""
    mean, std = float(train.labels.mean()), float(train.labels.std(correction=0)) or 1.0

    def standardised(split: Split) -> Split:
        return replace(split, labels=((split.labels - mean) / std).float())

    given = _named(train, val, test)
    shape = replace(
        _shape_of(given), smallest=min(float(split.labels.min()) for split in given.values())
    )
    preparation = replace(_normalising(train, classes=(), fit=None), unit=std, zero=mean)
    splits = {part: standardised(split) for part, split in given.items()}
    return _dataset(name, splits, shape, preparation)


def _named(train: Split, val: Split, test: Split | None) -> dict[str, Split]:
    return {"train": train, "val": val} | ({"test": test} if test else {})


def _shape_of(splits: Mapping[str, Split]) -> DataShape:
    """What is known of images whatever their targets are."""
    train = splits["train"]
    return DataShape(
        input_shape=tuple(train.inputs.shape[1:]),
        classes=0,
        train_rows=train.rows,
        val_rows=splits["val"].rows,
        test_rows=splits["test"].rows if "test" in splits else 0,
        labels=(0, 0),
    )


def _normalising(train: Split, *, classes: tuple[Any, ...], fit: str | None) -> ImagePreparation:
    mean, std = _statistics(train.inputs)
    floats = train.inputs.is_floating_point()
    return ImagePreparation(mean=mean, std=std, classes=classes, fit=fit, floats=floats)


def _dataset(
    name: str, splits: Mapping[str, Split], shape: DataShape, preparation: ImagePreparation
) -> Dataset:
    contents = {"mean": preparation.mean, "std": preparation.std}
    for part, split in splits.items():
        contents |= {f"{part}.inputs": split.inputs, f"{part}.labels": split.labels}
    return Dataset(
        name=name,
        shape=shape,
        train=splits["train"],
        val=splits["val"],
        test=splits.get("test"),
        preparation=preparation,
        fingerprint=fingerprint_of(contents),
    )


def drawn(labels: Tensor, share: Fraction, generator: torch.Generator) -> Tensor:
    """Which of the rows with these labels (N,) are drawn, of every class its share; truth (N,)."""
    counts = validation_counts(Counter(labels.tolist()), share)
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in sorted(counts):
        members = (labels == label).nonzero().flatten()
        order = torch.randperm(len(members), generator=generator)
        chosen[members[order[: counts[label]]]] = True
    return chosen


def _rows(rows: Split, chosen: Tensor) -> Split:
    return Split(inputs=rows.inputs[chosen], labels=rows.labels[chosen])


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel; of bytes from exact counts of their values."""
    if images.is_floating_point():
        deviations_, means_ = torch.std_mean(images.double(), (0, 2, 3), correction=0)
        deviations_[deviations_ == 0] = 1.0
        return means_.float().view(-1, 1, 1), deviations_.float().view(-1, 1, 1)
    values = torch.arange(256, dtype=torch.float64)
    means, deviations = [], []
    for channel in images.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = float(share @ values)
        deviation = float(share @ (values - mean).square()) ** 0.5
        means.append(mean)
        deviations.append(deviation or 1.0)
    return (
        torch.tensor(means, dtype=torch.float32).view(-1, 1, 1),
        torch.tensor(deviations, dtype=torch.float32).view(-1, 1, 1),
    )
