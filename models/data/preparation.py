"""What turns stored rows into a network's inputs, and its statistics into plain JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import torch
from torch import Tensor

#: What makes raw rows into inputs, by the kind of data, and outputs into answers.
RAW_ROWS: Final[Mapping[str, str]] = {
    "table": "models.data.tables.preparation:TablePreparation",
    "series": "models.data.series.preparation:SeriesPreparation",
}


class Preparation(Protocol):
    """Learned from the training rows alone; stored with every network that was trained on them."""

    @property
    def unit(self) -> float:
        """What one stands for in a target that is a number; 1.0 where it is a class."""

    @property
    def zero(self) -> float:
        """What zero stands for in a target that is a number; 0.0 where it is a class."""

    def __call__(self, rows: Tensor) -> Tensor:
        """The rows of a batch as a network wants them."""

    def to(self, device: str) -> "Preparation":
        """The same for rows on `device`."""

    def in_own_unit(self) -> "Preparation":
        """The same for a target of numbers that are not standardised: `unit` 1.0, `zero` 0.0."""

    def to_json(self) -> dict[str, Any]:
        """All of it, as plain JSON with its ``kind``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePreparation:
    """Bytes (B, C, H, W), or floats in a scale of their own, become floats, normalised per channel
    and channels last."""

    #: (C, 1, 1).
    mean: Tensor
    std: Tensor
    unit: float = 1.0
    zero: float = 0.0
    #: Names of the classes, in the order of their codes; empty where the codes are the names.
    classes: tuple[Any, ...] = ()
    #: How an image file becomes such bytes, one of `image_folder.options.FITS`; None where the
    #: bytes are no brightness from 0 to 255, or it is not known.
    fit: str | None = None
    #: Whether rows are floats.
    floats: bool = False

    def __call__(self, rows: Tensor) -> Tensor:
        if self.floats:
            rows = rows.clone()  # what follows writes to its copy, and of floats would make none
        if rows.shape[1] == 1:
            floats = rows.to(torch.float32, memory_format=torch.channels_last)
            return floats.sub_(self.mean).div_(self.std)
        # Reordered while they are bytes, and a line of pixels at a time: in a third of the time.
        ordered = rows.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        floats = ordered.to(torch.float32)  # (B, H, W, C)
        _rows, _height, width, channels = floats.shape
        lines = floats.view(-1, width * channels)
        lines.sub_(self.mean.flatten().repeat(width)).div_(self.std.flatten().repeat(width))
        return floats.permute(0, 3, 1, 2)

    def to(self, device: str) -> "ImagePreparation":
        """The same for rows on `device`."""
        return replace(self, mean=self.mean.to(device), std=self.std.to(device))

    def in_own_unit(self) -> "ImagePreparation":
        """The same, with the target's numbers as they are."""
        return replace(self, unit=1.0, zero=0.0)

    def to_json(self) -> dict[str, Any]:
        """``mean`` and ``std`` of each channel, the classes' names, and ``fit``; where they are not
        the usual ones, ``floats``, and ``unit`` and ``zero`` of a target that is a number."""
        document: dict[str, Any] = {
            "kind": "image",
            "mean": self.mean.flatten().tolist(),
            "std": self.std.flatten().tolist(),
            "classes": list(self.classes),
            "fit": self.fit,
        }
        if self.floats:
            document["floats"] = True
        if (self.unit, self.zero) != (1.0, 0.0):
            document |= {"unit": self.unit, "zero": self.zero}
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPreparation:
    """Rows of a table, and series, are stored as they go in; how they came about is in the
    document."""

    #: ``table`` or ``series``.
    kind: str = "table"
    document: Mapping[str, Any]
    unit: float = 1.0
    #: What zero stands for in a target that is a number.
    zero: float = 0.0

    def __call__(self, rows: Tensor) -> Tensor:
        return rows

    def to(self, device: str) -> "RowPreparation":
        """The same."""
        return self

    def in_own_unit(self) -> "RowPreparation":
        """The same, with the target's numbers as they are."""
        return replace(self, unit=1.0, zero=0.0)

    def to_json(self) -> dict[str, Any]:
        """The preparation of raw rows, under the name of its kind."""
        document = dict(self.document)
        return {"kind": self.kind, "unit": self.unit, "zero": self.zero, self.kind: document}


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
        """The same."""
        return self

    def to_json(self) -> dict[str, Any]:
        """The vocabulary."""
        return {"kind": "text", "vocabulary": self.vocabulary}


def preparation_of(document: Mapping[str, Any]) -> Preparation:
    """What `to_json` wrote."""
    kind = document["kind"]
    if kind in RAW_ROWS:
        return RowPreparation(
            kind=kind, document=document[kind], unit=document["unit"], zero=document["zero"]
        )
    if kind == "text":
        return TextPreparation(vocabulary=document["vocabulary"])
    mean, std = (torch.tensor(document[name]).view(-1, 1, 1) for name in ("mean", "std"))
    return ImagePreparation(
        mean=mean,
        std=std,
        classes=tuple(document["classes"]),
        fit=document.get("fit"),
        floats=document.get("floats", False),
        unit=document.get("unit", 1.0),
        zero=document.get("zero", 0.0),
    )
