"""A data set in memory: divided rows, and the file in which all workers share them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.catalog import DataShape
from models.data.preparation import Preparation, preparation_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Rows of a data set.

    `inputs` are images (N, C, H, W) as bytes, or as floats where code of others gives them so, rows
    of a table (N, columns) as floats, series (N, channels, length) as floats, or windows of a text
    (N, context) as codes; `labels` (N,) are classes as int64, or numbers as float32, and of a text
    codes again (N, context).
    """

    inputs: Tensor
    labels: Tensor

    @property
    def rows(self) -> int:
        """How many."""
        return self.labels.shape[0]

    def to(self, device: str) -> "Split":
        """The same rows on `device`."""
        return Split(inputs=self.inputs.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set, divided. Other processes may share the tensors: nobody writes to them."""

    name: str
    shape: DataShape
    train: Split
    val: Split
    test: Split | None
    preparation: Preparation
    #: Of the contents and their division: equal data has an equal fingerprint.
    fingerprint: str

    def prepared(self, rows: Tensor) -> Tensor:
        """The rows of a batch as a network wants them."""
        return self.preparation(rows)

    def targets(self, labels: Tensor) -> Tensor:
        """The labels of a batch as a loss wants them: codes as int64, numbers as they are."""
        return labels if labels.is_floating_point() else labels.long()

    def split(self, name: str) -> Split:
        """The split called ``train``, ``val`` or ``test``.

        Raises:
            KeyError: the data has no such split.
        """
        found = self._splits().get(name)
        if found is None:
            raise KeyError(f"{self.name} has no {name} split")
        return found

    def to(self, device: str) -> "Dataset":
        """The same data on `device`."""
        return Dataset(
            name=self.name,
            shape=self.shape,
            train=self.train.to(device),
            val=self.val.to(device),
            test=self.test.to(device) if self.test else None,
            preparation=self.preparation.to(device),
            fingerprint=self.fingerprint,
        )

    def in_own_unit(self) -> "Dataset":
        """The same data with a target of numbers as they were before they were standardised."""
        preparation = self.preparation
        if self.shape.classes:
            return self

        def restored(split: Split) -> Split:
            labels = split.labels * preparation.unit + preparation.zero
            # Counts of nothing must not come back a little below zero.
            labels[labels.abs() < 1e-5 * preparation.unit] = 0.0
            return replace(split, labels=labels)

        return replace(
            self,
            train=restored(self.train),
            val=restored(self.val),
            test=restored(self.test) if self.test else None,
            preparation=preparation.in_own_unit(),
        )

    def pack(self, path: Path) -> None:
        """Write a file that `open_packed` maps; the tensors are not copied for it."""
        about = {
            "shape": asdict(self.shape),
            "preparation": self.preparation.to_json(),
            "fingerprint": self.fingerprint,
        }
        save_file(self._tensors(), path, {"about": json.dumps(about)})

    def _splits(self) -> dict[str, Split]:
        splits = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}

    def _tensors(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for name, split in self._splits().items():
            tensors |= {f"{name}.inputs": split.inputs, f"{name}.labels": split.labels}
        return tensors


def open_packed(path: Path, name: str) -> Dataset | None:
    """The data set in a packed file, mapped; None where there is none, or none that can be read."""
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
        preparation=preparation_of(about["preparation"]),
        fingerprint=about["fingerprint"],
    )


def _split_of(tensors: Mapping[str, Tensor], name: str) -> Split:
    return Split(inputs=tensors[f"{name}.inputs"], labels=tensors[f"{name}.labels"])


def fingerprint_of(tensors: Mapping[str, Tensor]) -> str:
    """A digest of names, sizes and contents."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
