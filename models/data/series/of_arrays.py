"""Arrays of numbers as series."""

import numpy as np
import pyarrow as pa

from models.data.series.prepare import LINES, TARGET, Plan, PreparedSeries, prepared_series
from models.data.series.raw import Series
from models.data.tables.options import TableOptions
from models.data.tables.targets import read_target
from models.data.tables.values import Floats


def prepare_arrays(
    values: Floats,
    targets: pa.ChunkedArray,
    *,
    task: str,
    split_seed: int,
    test_rows: int = 0,
    val_rows: int = 0,
) -> PreparedSeries:
    """Series (N, channels, length) in memory with their `targets` (N,); NaN is a missing value.

    The last `test_rows` are the test split, the `val_rows` before them validate; where there are
    none, a fifth of all validates.

    Raises:
        DataRefused: a value or a target is not what it should be.
    """
    count, channels, length = values.shape
    series = Series(
        channels=tuple(f"x{i}" for i in range(channels)),
        values=values.transpose(1, 0, 2).reshape(channels, count * length),
        lengths=np.full(count, length, dtype=np.int64),
    )
    options = TableOptions(target=TARGET, series=LINES, test=0.0, task=task)
    rows = pa.table({TARGET: targets})
    plan = Plan(options=options, split_seed=split_seed, test_rows=test_rows, val_rows=val_rows)
    return prepared_series(series, rows, read_target(rows[TARGET], options), plan)
