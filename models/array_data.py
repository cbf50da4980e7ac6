"""NumPy's files as data sets."""

import torch

from models.array_source import VALIDATION, read
from models.arrays import Array
from models.catalog import DataSource
from models.dataset import Dataset, Split
from models.image_data import divided
from models.table_data import dataset_of
from models.tables.prepare import PreparedTable


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
