"""Texts as data sets: the windows NumPy made of them, as tensors."""

import torch

from models.catalog import DataSource
from models.data.dataset import Dataset, Split, fingerprint_of
from models.data.preparation import TextPreparation
from models.data.texts.source import prepared
from models.data.texts.windows import Windows


def read_text(source: DataSource, roots: tuple[str, ...], split_seed: int) -> Dataset:
    """The text that the source says, in windows; it is divided by position, whatever the seed.

    Raises:
        DataRefused: it is missing, or cannot be used so.
    """
    text = prepared(source, roots)
    train, val = _split(text.train), _split(text.val)
    test = _split(text.test) if text.test else None
    contents = {"vocabulary": torch.tensor([*map(ord, text.vocabulary)])}
    for name, split in (("train", train), ("val", val), ("test", test)):
        if split is not None:
            contents |= {f"{name}.inputs": split.inputs, f"{name}.labels": split.labels}
    return Dataset(
        name=source.name,
        shape=text.shape,
        train=train,
        val=val,
        test=test,
        preparation=TextPreparation(vocabulary=text.vocabulary),
        fingerprint=fingerprint_of(contents),
    )


def _split(windows: Windows) -> Split:
    return Split(inputs=torch.from_numpy(windows.inputs), labels=torch.from_numpy(windows.labels))
