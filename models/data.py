"""Data in memory: decoded once, then mapped from a file that all workers share."""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.catalog import DataShape
from models.data_entry import (
    DIGITS_VALIDATION,
    IDX_VALIDATION,
    check_idx_folder,
    digits_file,
    fashion_mnist_folder,
    idx_folder,
)
from models.files import write_whole
from models.idx import IdxPair, data_of
from models.stratified import validation_counts

#: Part of a cached file's name: another layout gets another file.
_LAYOUT: Final = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rows of a data set: images (N, C, H, W) as bytes and labels (N,) as int64."""

    inputs: Tensor
    labels: Tensor

    @property
    def rows(self) -> int:
        """How many."""
        return self.labels.shape[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set, divided. The tensors may be shared with other processes: nobody writes to them.

    `mean` and `std`, (C, 1, 1), are those of the training split alone.
    """

    name: str
    shape: DataShape
    train: Split
    val: Split
    test: Split | None
    mean: Tensor
    std: Tensor
    #: Of the contents and their division: equal data has an equal fingerprint.
    fingerprint: str

    def prepared(self, images: Tensor) -> Tensor:
        """Bytes (B, C, H, W) as a network wants them: normalised floats, channels last."""
        floats = images.to(torch.float32, memory_format=torch.channels_last)
        return floats.sub_(self.mean).div_(self.std)

    def split(self, name: str) -> Split:
        """The split called ``train``, ``val`` or ``test``.

        Raises:
            KeyError: the data has no such split.
        """
        splits = {"train": self.train, "val": self.val, "test": self.test}
        found = splits[name]
        if found is None:
            raise KeyError(f"{self.name} has no {name} split")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where a data set comes from: its files, and how to read them all."""

    files: tuple[Path, ...]
    validation: Fraction
    decode: Callable[[], tuple[Split, Split | None]]


def load(
    name: str,
    argument: str | None = None,
    *,
    roots: tuple[str, ...] = (),
    split_seed: int = 0,
    cache_dir: Path,
    device: str = "cpu",
) -> Dataset:
    """The data set called `name`, divided with `split_seed`, on `device`.

    The first call decodes and divides it into a file below `cache_dir`; later ones map that file.
    A fifth of digits validates, a sixth of an IDX folder's training images, class by class.

    Raises:
        DataRefused: it is missing or not what it says.
        KeyError: no data set has this name.
    """
    source = _SOURCES[name](argument, roots)
    path = cache_dir / f"{name}-{_key(source, split_seed)}.safetensors"
    dataset = _map(path, name)
    if dataset is None:
        write_whole(path, _divided(source, split_seed))
        dataset = _map(path, name)
        assert dataset is not None
    return dataset if device == "cpu" else _moved(dataset, device)


def _key(source: _Source, split_seed: int) -> str:
    """A name that changes when a file does, at the price of a stat."""
    marks = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in source.files]
    return hashlib.sha256(repr((_LAYOUT, split_seed, marks)).encode()).hexdigest()[:32]


def _map(path: Path, name: str) -> Dataset | None:
    """The data set in the cached file; None where there is none, or none that can be read."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["about"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError):
        return None
    return Dataset(
        name=name,
        shape=DataShape.from_json(about["shape"]),
        train=_split_of(tensors, "train"),
        val=_split_of(tensors, "val"),
        test=_split_of(tensors, "test") if "test.labels" in tensors else None,
        mean=tensors["mean"],
        std=tensors["std"],
        fingerprint=about["fingerprint"],
    )


def _split_of(tensors: Mapping[str, Tensor], name: str) -> Split:
    return Split(inputs=tensors[f"{name}.inputs"], labels=tensors[f"{name}.labels"])


def _moved(dataset: Dataset, device: str) -> Dataset:
    def move(split: Split) -> Split:
        return Split(inputs=split.inputs.to(device), labels=split.labels.to(device))

    return Dataset(
        name=dataset.name,
        shape=dataset.shape,
        train=move(dataset.train),
        val=move(dataset.val),
        test=move(dataset.test) if dataset.test else None,
        mean=dataset.mean.to(device),
        std=dataset.std.to(device),
        fingerprint=dataset.fingerprint,
    )


def _divided(source: _Source, split_seed: int) -> bytes:
    """The cached file: all splits, the training split's statistics, and what they amount to."""
    rows, test = source.decode()
    train, val = _stratified(rows, source.validation, split_seed)
    mean, std = _statistics(train.inputs)
    splits = {"train": train, "val": val} | ({"test": test} if test else {})
    tensors = {"mean": mean, "std": std}
    for name, split in splits.items():
        tensors |= {f"{name}.inputs": split.inputs, f"{name}.labels": split.labels}
    labels = {label for split in splits.values() for label in split.labels.tolist()}
    shape = DataShape(
        input_shape=tuple(train.inputs.shape[1:]),
        classes=len(labels),
        train_rows=train.rows,
        val_rows=val.rows,
        test_rows=test.rows if test else 0,
        labels=(min(labels), max(labels)),
    )
    about = {"shape": asdict(shape), "fingerprint": _fingerprint(tensors)}
    return save(tensors, {"about": json.dumps(about)})


def _stratified(rows: Split, share: Fraction, seed: int) -> tuple[Split, Split]:
    """Training and validation rows; of every class its share validates."""
    generator = torch.Generator().manual_seed(seed)
    counts = validation_counts(Counter(rows.labels.tolist()), share)
    validates = torch.zeros(rows.rows, dtype=torch.bool)
    for label in sorted(counts):
        members = (rows.labels == label).nonzero().flatten()
        drawn = torch.randperm(len(members), generator=generator)[: counts[label]]
        validates[members[drawn]] = True
    return (
        Split(inputs=rows.inputs[~validates], labels=rows.labels[~validates]),
        Split(inputs=rows.inputs[validates], labels=rows.labels[validates]),
    )


def _statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, from exact counts of the byte values."""
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


def _fingerprint(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def _digits(argument: str | None, roots: tuple[str, ...]) -> _Source:
    path = digits_file()

    def decode() -> tuple[Split, None]:
        with gzip.open(path) as file:
            table = torch.tensor([[int(v) for v in line.split(b",")] for line in file])
        images = table[:, :64].to(torch.uint8).view(-1, 1, 8, 8)
        return Split(inputs=images, labels=table[:, 64]), None

    return _Source(files=(path,), validation=DIGITS_VALIDATION, decode=decode)


def _idx(argument: str | None, roots: tuple[str, ...]) -> _Source:
    return _idx_source(idx_folder(argument, roots))


def _fashion_mnist(argument: str | None, roots: tuple[str, ...]) -> _Source:
    return _idx_source(fashion_mnist_folder(argument, roots))


def _idx_source(folder: Path) -> _Source:
    def decode() -> tuple[Split, Split | None]:
        checked = check_idx_folder(folder)
        return _read(checked.train), _read(checked.test) if checked.test else None

    files = tuple(sorted(folder.glob("*-ubyte*")))
    return _Source(files=files, validation=IDX_VALIDATION, decode=decode)


def _read(pair: IdxPair) -> Split:
    rows, height, width = pair.images.sizes
    images = torch.frombuffer(bytearray().join(data_of(pair.images)), dtype=torch.uint8)
    labels = torch.frombuffer(bytearray().join(data_of(pair.labels)), dtype=torch.uint8)
    return Split(inputs=images.view(rows, 1, height, width), labels=labels.long())


_SOURCES: Final[Mapping[str, Callable[[str | None, tuple[str, ...]], _Source]]] = {
    "digits": _digits,
    "idx": _idx,
    "fashion_mnist": _fashion_mnist,
}
