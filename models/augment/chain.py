"""All augmentations of a training, one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from models.augment.base import Augmentation, DrawnApart, MixesApart
from models.catalog import AugmentationEntry
from models.data.loading import Dataset
from models.entries import catalog
from models.hyperparameters import Config
from models.imported import build_imported_augmentation
from models.importing import is_import_path, load


class Augment(Protocol):
    """What alters a training's batches.

    Where it mixes examples in one way at most, and nobody else wrote a part of it, it can also be
    drawn for many batches first, and done to all of them at once.
    """

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Others in the place of a batch's prepared inputs and its labels (B,).

        Of a chain that mixes examples, labels are shares (B, classes).
        """

    def draw(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """What a call would draw for such a batch, each (B, …), from torch's global generators."""

    def alter(
        self, inputs: Tensor, labels: Tensor, drawn: Sequence[Tensor], *, batch: int
    ) -> tuple[Tensor, Tensor]:
        """What a call gives, of batches of so many examples, as was drawn for each of them."""


def build_augment(config: Config, data: Dataset, own: Config = MappingProxyType({})) -> Augment:
    """The augmentations that are on in `config`, in the catalogue's order.

    Those of `own`, by import path, come after; the arguments it names are theirs.

    Where none is, batches pass as they are and no random number is drawn.
    """
    entries = [
        entry
        for entry in catalog().augmentations.values()
        if config.get(entry.name) and data.shape.kind in entry.kinds
    ]
    paths = [name for name, strength in own.items() if is_import_path(name) and strength]
    if not entries and not paths:
        return unchanged
    blank = _blank(data)

    def built(entry: AugmentationEntry) -> Augmentation:
        augmentation: Augmentation = load(entry.build)(
            float(config[entry.name]), blank=blank, flagged=data.shape.flagged
        )
        return augmentation

    imported = [build_imported_augmentation(path, own, blank) for path in paths]
    chain = Chain(
        alone=(*(built(entry) for entry in entries if not entry.mixes), *imported),
        mixing=tuple(built(entry) for entry in entries if entry.mixes),
        classes=data.shape.classes,
    )
    return AsImages(chain) if data.shape.kind == "series" else chain


def _blank(data: Dataset) -> Tensor:
    """What stands where nothing is (C, 1, 1): a black pixel, prepared; of series, zeros, flagged
    where there are flags."""
    blank = data.prepared(data.train.inputs.new_zeros(1, data.shape.input_shape[0], 1, 1))[0]
    if data.shape.flagged:
        blank[-1] = 1
    return blank


class _Unchanged:
    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return inputs, labels

    def draw(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return ()

    def alter(
        self, inputs: Tensor, labels: Tensor, drawn: Sequence[Tensor], *, batch: int
    ) -> tuple[Tensor, Tensor]:
        return inputs, labels


#: The null object: nothing is augmented.
unchanged: Final = _Unchanged()


@dataclass(frozen=True, slots=True)
class AsImages:
    """Augments series (B, C, length) as images of one row."""

    chain: Augment

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        inputs, labels = self.chain(inputs.unsqueeze(2), labels)
        return inputs.squeeze(2).contiguous(), labels

    def draw(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """See `Augment`."""
        return self.chain.draw(inputs.unsqueeze(2))

    def alter(
        self, inputs: Tensor, labels: Tensor, drawn: Sequence[Tensor], *, batch: int
    ) -> tuple[Tensor, Tensor]:
        """See `Augment`."""
        inputs, labels = self.chain.alter(inputs.unsqueeze(2), labels, drawn, batch=batch)
        return inputs.squeeze(2).contiguous(), labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Augmentations of single examples, all of them; then one that mixes examples.

    Of several that mix, chance takes one for each batch: a mixture of mixtures is no image.
    """

    alone: tuple[Augmentation, ...]
    mixing: tuple[Augmentation, ...]
    classes: int

    def __call__(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        for augmentation in self.alone:
            inputs, labels = augmentation(inputs, labels)
        if not self.mixing:
            return inputs, labels
        return self._one_of_them()(inputs, self._shares(labels, inputs))

    def draw(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """See `Augment`."""
        drawn = [each.draw(inputs) for each in self.alone if isinstance(each, DrawnApart)]
        assert len(drawn) == len(self.alone), "what others wrote is called as a whole"
        if self.mixing:
            mix = self._one_of_them()
            assert len(self.mixing) == 1, "of several another one mixes each batch"
            assert isinstance(mix, MixesApart)
            drawn.append(mix.draw(inputs))
        return tuple(drawn)

    def alter(
        self, inputs: Tensor, labels: Tensor, drawn: Sequence[Tensor], *, batch: int
    ) -> tuple[Tensor, Tensor]:
        """See `Augment`."""
        for each, what in zip((*self.alone, *self.mixing), drawn, strict=True):
            if isinstance(each, DrawnApart):
                inputs = each.alter(inputs, what)
            elif isinstance(each, MixesApart):
                labels = self._shares(labels, inputs)
                inputs, labels = each.mix(inputs, labels, what, batch=batch)
        return inputs, labels

    def _one_of_them(self) -> Augmentation:
        # Drawn on the CPU: a GPU would have to be waited for.
        return self.mixing[int(torch.randint(len(self.mixing), ()))]

    def _shares(self, labels: Tensor, inputs: Tensor) -> Tensor:
        """Of each of the classes (N, classes)."""
        return functional.one_hot(labels, self.classes).to(inputs.dtype)


def leading_classes(labels: Tensor) -> Tensor:
    """The class of each label, as it is; of shares (B, classes), that with the largest."""
    return labels.argmax(1) if labels.dim() == 2 and labels.is_floating_point() else labels
