"""Folders of images as data sets."""

from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from models.catalog import DataSource
from models.data.dataset import Dataset, Split
from models.data.images.files import ImageTree, image_tree
from models.data.images.layout import Images
from models.data.images.options import image_options
from models.data.images.pixels import pixels_of_all
from models.data.images.source import FolderPlan, plan_of
from models.data.tensors.images import drawn, image_dataset


def read_images(source: DataSource, roots: tuple[str, ...], split_seed: int) -> Dataset:
    """The images, divided as their folders say, or else a share of each class at a time.

    Raises:
        DataRefused: they are missing, damaged, or cannot be used so.
    """
    tree = image_tree(source, roots)
    plan = plan_of(tree, image_options(source.options))
    parts = {name: _read(tree, images, plan) for name, images in _parts(plan, split_seed).items()}
    return image_dataset(
        source.name,
        train=parts["train"],
        val=parts["val"],
        test=parts.get("test"),
        classes=plan.layout.classes,
        fit=plan.fit,
    )


def _parts(plan: FolderPlan, split_seed: int) -> dict[str, Images]:
    """The images of each split; the test's are drawn first."""
    layout = plan.layout
    parts = {"train": layout.train, "val": layout.val, "test": layout.test}
    generator = torch.Generator().manual_seed(split_seed)
    for name, share in (("test", plan.test), ("val", plan.validation)):
        if share:
            parts["train"], parts[name] = _divided(parts["train"], share, generator)
    return {name: images for name, images in parts.items() if images}


def _divided(
    images: Images | None, share: Fraction, generator: torch.Generator
) -> tuple[Images, Images]:
    assert images
    chosen: Tensor = drawn(torch.tensor(images.codes), share, generator)
    kept, taken = (mask.nonzero().flatten().tolist() for mask in (~chosen, chosen))
    return _some(images, kept), _some(images, taken)


def _some(images: Images, indices: Sequence[int]) -> Images:
    return Images(
        names=tuple(images.names[index] for index in indices),
        codes=tuple(images.codes[index] for index in indices),
    )


def _read(tree: ImageTree, images: Images, plan: FolderPlan) -> Split:
    pixels = pixels_of_all(tree, images.names, plan.shape.input_shape, plan.fit)
    return Split(inputs=torch.from_numpy(pixels), labels=torch.tensor(images.codes))
