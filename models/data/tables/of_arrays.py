"""Arrays of numbers as a table."""

from typing import Final

import pyarrow as pa

from models.data.arrays.reading import Arrays, Examples

TARGET: Final = "y"


def table_of(arrays: Arrays) -> pa.Table:
    """All rows, those of a test split last, as columns ``x0``, ``x1``, … and the target ``y``.

    `prepare` is to be told how many they are: `test_rows`.
    """
    splits = [arrays.train, *([arrays.test] if arrays.test else [])]
    return pa.concat_tables([_table(rows) for rows in splits])


def _table(rows: Examples) -> pa.Table:
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(rows.inputs.T)}
    return pa.table(columns | {TARGET: pa.array(rows.labels)})
