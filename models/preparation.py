"""What turns stored rows into a network's inputs, and its statistics into plain JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor


class Preparation(Protocol):
    """Learned from the training rows alone; stored with every network that was trained on them."""

    @property
    def unit(self) -> float:
        """What one stands for in a target that is a number; 1.0 where it is a class."""

    def __call__(self, rows: Tensor) -> Tensor:
        """The rows of a batch as a network wants them."""

    def to(self, device: str) -> "Preparation":
        """The same for rows on `device`."""

    def to_json(self) -> dict[str, Any]:
        """All of it, as plain JSON with its ``kind``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePreparation:
    """Bytes (B, C, H, W) become floats, normalised per channel and channels last."""

    #: (C, 1, 1).
    mean: Tensor
    std: Tensor
    unit: float = 1.0
    #: Names of the classes, in the order of their codes; empty where the codes are the names.
    classes: tuple[Any, ...] = ()

    def __call__(self, rows: Tensor) -> Tensor:
        floats = rows.to(torch.float32, memory_format=torch.channels_last)
        return floats.sub_(self.mean).div_(self.std)

    def to(self, device: str) -> "ImagePreparation":
        """The same for rows on `device`."""
        return replace(self, mean=self.mean.to(device), std=self.std.to(device))

    def to_json(self) -> dict[str, Any]:
        """``mean`` and ``std`` of each channel, and the classes' names."""
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        return {"kind": "image", "mean": mean, "std": std, "classes": list(self.classes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPreparation:
    """Rows of a table are stored as they go in; how they came about is in the document."""

    document: Mapping[str, Any]
    unit: float = 1.0
    #: What zero stands for in a target that is a number.
    zero: float = 0.0

    def __call__(self, rows: Tensor) -> Tensor:
        return rows

    def to(self, device: str) -> "RowPreparation":
        """The same."""
        return self

    def to_json(self) -> dict[str, Any]:
        """The table's preparation."""
        document = dict(self.document)
        return {"kind": "table", "unit": self.unit, "zero": self.zero, "table": document}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPreparation:
    """Codes of characters (B, context), in whatever they are stored, become int64."""

    #: The characters in the order of their codes. A code beyond them is any other character.
    vocabulary: str
    unit: float = 1.0
    zero: float = 0.0

    def __call__(self, rows: Tensor) -> Tensor:
        return rows.long()

    def to(self, device: str) -> "TextPreparation":
        """The same."""
        return self

    def in_own_unit(self) -> "TextPreparation":
        """The same: a character is no number."""
        return self

    def to_json(self) -> dict[str, Any]:
        """The vocabulary."""
        return {"kind": "text", "vocabulary": self.vocabulary}


def preparation_of(document: Mapping[str, Any]) -> Preparation:
    """What `to_json` wrote."""
    if document["kind"] == "table":
        return RowPreparation(
            document=document["table"], unit=document["unit"], zero=document["zero"]
        )
    if document["kind"] == "text":
        return TextPreparation(vocabulary=document["vocabulary"])
    mean, std = (torch.tensor(document[name]).view(-1, 1, 1) for name in ("mean", "std"))
    return ImagePreparation(mean=mean, std=std, classes=tuple(document["classes"]))
