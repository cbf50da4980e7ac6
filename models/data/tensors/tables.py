"""Tables and series as data sets: what NumPy made of their rows, as tensors."""

import torch

from models.catalog import DataSource
from models.data.dataset import Dataset, Split
from models.data.preparation import RowPreparation
from models.data.series.prepare import PreparedSeries
from models.data.tables.prepare import PreparedTable, Rows
from models.data.tables.source import prepared


def read_table(source: DataSource, roots: tuple[str, ...], split_seed: int) -> Dataset:
    """The table or the series that the source says, divided and prepared.

    Raises:
        DataRefused: it is missing, or cannot be used so.
    """
    return dataset_of(source.name, prepared(source, roots, split_seed))


def dataset_of(name: str, table: PreparedTable | PreparedSeries) -> Dataset:
    """A prepared table, or prepared series, as a data set."""
    return Dataset(
        name=name,
        shape=table.shape,
        train=_split(table.train),
        val=_split(table.val),
        test=_split(table.test) if table.test else None,
        preparation=RowPreparation(
            kind=table.shape.kind,
            document=table.preparation.to_json(),
            unit=table.preparation.target.std,
            zero=table.preparation.target.mean,
        ),
        fingerprint=table.fingerprint,
    )


def _split(rows: Rows) -> Split:
    return Split(inputs=torch.from_numpy(rows.inputs), labels=torch.from_numpy(rows.target))
