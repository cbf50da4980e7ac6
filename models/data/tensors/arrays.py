"""NumPy's files as data sets."""

import torch

from models.catalog import DataSource
from models.data.arrays.reading import Array
from models.data.arrays.source import VALIDATION, read
from models.data.dataset import Dataset, Split
from models.data.tables.prepare import PreparedTable
from models.data.tensors.images import divided
from models.data.tensors.tables import dataset_of


def read_arrays(source: DataSource, roots: tuple[str, ...], split_seed: int) -> Dataset:
    """The arrays the source says, a table or images, of which a fifth validates.

    Raises:
        DataRefused: the file is missing, damaged, or holds what no network here takes.
    """
    found = read(source, roots, split_seed)
    if isinstance(found, PreparedTable):
        return dataset_of(source.name, found)
    test = _split(*found.test) if found.test else None
    train = _split(*found.train)
    return divided(source.name, train, test, VALIDATION, split_seed, classes=found.classes)


def _split(inputs: Array, codes: Array) -> Split:
    return Split(inputs=torch.from_numpy(inputs), labels=torch.from_numpy(codes))
