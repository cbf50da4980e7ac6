"""Data that a function of one's own gives: its kind inferred, divided, and prepared as any other.

(N, F) are tables of numbers, (N, C, L) series, (N, C, H, W) images; (N, H, W) images if they are
bytes, else series of H channels.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyarrow as pa
import torch

from models.catalog import DataRefused, DataShape, DataSource
from models.data.arrays.reading import Array, Arrays, Examples, examples_of
from models.data.arrays.source import VALIDATION
from models.data.dataset import Dataset, Split
from models.data.series.of_arrays import prepare_arrays
from models.data.tables.of_arrays import TARGET, table_of
from models.data.tables.options import TableOptions
from models.data.tables.prepare import prepare
from models.data.tensors.gathering import SPLITS, Gathered, Pair, gathered
from models.data.tensors.images import divided, image_dataset, measured_images
from models.data.tensors.tables import dataset_of


def read_made(source: DataSource, roots: tuple[str, ...], split_seed: int) -> Dataset:
    """What the function gives, divided and prepared.

    Raises:
        DataRefused: it raises, gives no data, or others than the source's digest says.
        PartRefused: it is not there.
    """
    path = str(source.path)
    data = dataset_of_arrays(path, gathered(path, source.options), split_seed)
    if source.digest and data.fingerprint != source.digest:
        raise DataRefused(
            f"{path} gave other data than when the job was submitted; let what it gives follow "
            "from its arguments alone, or submit the job again."
        )
    return data


def inspect(source: DataSource, roots: tuple[str, ...]) -> DataShape:
    """The shape of what the function gives, with a digest of it."""
    data, _ = _looked_at(str(source.path), json.dumps(dict(source.options), sort_keys=True))
    return replace(data.shape, digest=data.fingerprint)


def explain(source: DataSource, roots: tuple[str, ...]) -> tuple[str, ...]:
    """What was made of it."""
    return _looked_at(str(source.path), json.dumps(dict(source.options), sort_keys=True))[1]


@lru_cache(maxsize=1)
def _looked_at(path: str, options: str) -> tuple[Dataset, tuple[str, ...]]:
    """Once for both questions; only a process that ends with its answer asks them."""
    found = gathered(path, json.loads(options))
    data = dataset_of_arrays(path, found, 0)
    rows = ", ".join(f"{len(labels):,} {name}" for name, (_, labels) in _named(found.splits))
    size = " x ".join(map(str, data.shape.input_shape))
    target = f"{data.shape.classes} classes" if data.shape.classes else "a number"
    what = {"table": "rows of a table", "series": "series", "image": "images"}[data.shape.kind]
    note = f"{path} gives {rows} examples, taken for {what}, {size} each; the target is {target}."
    return data, (note, *found.notes)


def dataset_of_arrays(path: str, found: Gathered, split_seed: int) -> Dataset:
    """The data set that arrays amount to; without a validation split a fifth validates.

    Raises:
        DataRefused: no network here takes such examples or labels.
    """
    splits = [_checked(path, name, *pair) for name, pair in _named(found.splits)]
    _check_classes(path, splits)
    given, first = len(splits), splits[0][0]
    val_rows, test_rows = (len(splits[at][1]) if at < given else 0 for at in (1, 2))
    labels = np.concatenate([labels for _, labels in splits])
    task = "number" if labels.dtype.kind == "f" else "classes"
    if first.ndim == 2:
        rows = [examples_of(path, x, path, y) for x, y in splits]
        table = pa.concat_tables(
            [table_of(Arrays(kind="table", train=part, test=None)) for part in rows]
        )
        options = TableOptions(target=TARGET, test=0.0, task=task)
        return dataset_of(
            path,
            prepare(table, options, split_seed=split_seed, test_rows=test_rows, val_rows=val_rows),
        )
    if first.ndim == 3 and first.dtype != np.uint8:
        values = np.concatenate([inputs for inputs, _ in splits]).astype(np.float64)
        series = prepare_arrays(
            values, pa.chunked_array([pa.array(labels)]), task=task, split_seed=split_seed,
            test_rows=test_rows, val_rows=val_rows,
        )  # fmt: skip
        return dataset_of(path, series)
    rows = [examples_of(path, x, path, y) for x, y in splits]
    return (_measured if task == "number" else _images)(path, rows, split_seed)


def _named(splits: Sequence[Pair]) -> list[tuple[str, Pair]]:
    return list(zip(SPLITS, splits, strict=False))


def _checked(path: str, name: str, inputs: Array, labels: Array) -> Pair:
    what = f"{path}, {name} data"
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "biufU":
        raise DataRefused(
            f"{what}: labels are {labels.dtype} of shape {labels.shape}; a label is one class, a "
            "whole number or a text, or one number."
        )
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        first = int(np.flatnonzero(~np.isfinite(labels))[0])
        raise DataRefused(f"{what}: the label of example {first} is {labels[first]}; correct it.")
    if inputs.ndim not in (2, 3, 4):
        raise DataRefused(
            f"{what}: an example is of shape {inputs.shape[1:]}; it is (columns,), (channels, "
            "length) or (channels, height, width)."
        )
    if inputs.dtype.kind not in "biuf":
        raise DataRefused(f"{what}: examples are {inputs.dtype}, which are no numbers.")
    return inputs, labels


def _check_classes(path: str, splits: Sequence[Pair]) -> None:
    """All splits have one kind of label, and classes are known from training."""
    trained = splits[0][1]
    for name, (_, labels) in _named(splits)[1:]:
        if (labels.dtype.kind == "f") != (trained.dtype.kind == "f"):
            raise DataRefused(
                f"{path}: labels are {trained.dtype} in training and {labels.dtype} in {name}; "
                "they must be of one kind."
            )
        strange = [] if labels.dtype.kind == "f" else np.setdiff1d(labels, trained).tolist()
        if strange:
            raise DataRefused(
                f"{path}: class {strange[0]!s} of {name} is that of no training example; add some."
            )


def _measured(path: str, splits: Sequence[Examples], split_seed: int) -> Dataset:
    """Images with numbers; without a validation split a fifth of them is drawn for it."""
    parts = [_split(rows, rows.labels.astype(np.float64)) for rows in splits]
    if len(parts) == 1:
        whole = parts[0]
        generator = torch.Generator().manual_seed(split_seed)
        order = torch.randperm(whole.rows, generator=generator)
        count = max(1, int(whole.rows * VALIDATION))
        parts = [
            Split(inputs=whole.inputs[chosen], labels=whole.labels[chosen])
            for chosen in (order[count:].sort().values, order[:count].sort().values)
        ]
    train, val, *test = parts
    if train.rows < 2 or float(train.labels.min()) == float(train.labels.max()):
        raise DataRefused(
            f"{path}: all training images have one number, so that there is nothing to learn."
        )
    return measured_images(path, train=train, val=val, test=test[0] if test else None)


def _split(rows: Examples, labels: Array) -> Split:
    inputs = torch.from_numpy(np.ascontiguousarray(rows.inputs))
    return Split(inputs=inputs, labels=torch.from_numpy(labels))


def _images(path: str, splits: Sequence[Examples], split_seed: int) -> Dataset:
    classes = np.unique(splits[0].labels)
    if len(classes) < 2:
        raise DataRefused(
            f"{path}: all images are of class {classes[0]!s}; a class is learned beside another."
        )

    def split(rows: Examples) -> Split:
        return _split(rows, np.searchsorted(classes, rows.labels).astype(np.int64))

    names = tuple(classes.tolist())
    train, *others = map(split, splits)
    if not others:
        return divided(path, train, None, VALIDATION, split_seed, classes=names)
    test = others[1] if len(others) > 1 else None
    return image_dataset(path, train=train, val=others[0], test=test, classes=names, fit=None)
