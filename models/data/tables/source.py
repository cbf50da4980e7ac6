"""What a spec says of a table or of series, followed to data and shape. Without torch."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from models.catalog import DataRefused, DataShape, DataSource
from models.data.series.prepare import (
    LINES,
    TARGET,
    PreparedSeries,
    prepare_series_of_rows,
    prepare_ts,
)
from models.data.tables.bundled import bundled_table
from models.data.tables.entry import BUNDLED
from models.data.tables.files import table_files, ts_files
from models.data.tables.options import TableOptions
from models.data.tables.prepare import PreparedTable, prepare, prepare_table
from models.files import marks_of

#: What is not the user's to say.
_FIXED: Final[Mapping[str, Mapping[str, str]]] = {
    **{name: {"target": "target"} for name in BUNDLED},
    "ts": {"target": TARGET, "series": LINES},
}


def options_of(source: DataSource) -> TableOptions:
    """What the source says of its table.

    Raises:
        DataRefused: there is no target, or an option has an impossible value.
    """
    options = {**source.options, **_FIXED.get(source.name, {})}
    if "target" not in options:
        raise DataRefused(
            f"There is no column to predict; write data: {{{source.name}: {source.path}, "
            "target: COLUMN}."
        )
    for name, value in options.items():
        _check_kind(name, value)
    for name in ("ignore", "categories"):
        listed = options.get(name, ())
        options[name] = (listed,) if isinstance(listed, str) else tuple(listed)
    return TableOptions(**options)


def _check_kind(name: str, value: object) -> None:
    if name in ("test", "validation"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataRefused(f"{name} = {value!r} must be a share, such as 0.2.")
    elif name in ("ignore", "categories"):
        if not isinstance(value, str | list | tuple):
            raise DataRefused(f"{name} = {value!r} must be a list of columns.")
    elif not isinstance(value, str):
        raise DataRefused(f"{name} = {value!r} must be text.")


def prepared(
    source: DataSource, roots: tuple[str, ...], split_seed: int = 0
) -> PreparedTable | PreparedSeries:
    """The table, or the series its rows are of, read, divided and made numbers.

    Raises:
        DataRefused: it is missing, or cannot be used so.
    """
    return _prepared(source.name, *_files_and_options(source, roots), split_seed)


def inspect_table(source: DataSource, roots: tuple[str, ...]) -> DataShape:
    """The shape of the examples; the whole file is read for it."""
    return _looked_into(source, roots)[0]


def explain_table(source: DataSource, roots: tuple[str, ...]) -> tuple[str, ...]:
    """How each column is used, a sentence a column; of series, each channel."""
    return _looked_into(source, roots)[1]


def _looked_into(source: DataSource, roots: tuple[str, ...]) -> tuple[DataShape, tuple[str, ...]]:
    files, options = _files_and_options(source, roots)
    return _facts(source.name, files, marks_of(files), options)


def _files_and_options(
    source: DataSource, roots: tuple[str, ...]
) -> tuple[tuple[Path, ...], TableOptions]:
    if source.name != "ts":
        return table_files(source, roots), options_of(source)
    files = ts_files(source, roots)
    if len(files) > 1 and "test" in source.options:
        raise DataRefused(
            f"test = {source.options['test']!r} would set series aside, but {files[1].name} is the "
            "test split; leave test out, or give that file another name."
        )
    return files, options_of(source)


@lru_cache(maxsize=64)
def _facts(
    name: str, files: tuple[Path, ...], marks: Any, options: TableOptions
) -> tuple[DataShape, tuple[str, ...]]:
    """Shape and sentences, once for each state of the files; the rows themselves are let go."""
    return _told(_prepared(name, files, options, 0))


def _told(data: PreparedTable | PreparedSeries) -> tuple[DataShape, tuple[str, ...]]:
    if isinstance(data, PreparedSeries):
        return data.shape, data.sentences
    return data.shape, tuple(map(_sentence, data.preparation.describe()))


def _prepared(
    name: str, files: tuple[Path, ...], options: TableOptions, split_seed: int
) -> PreparedTable | PreparedSeries:
    if name in BUNDLED:
        return prepare(bundled_table(name), options, split_seed=split_seed)
    if name == "ts":
        return prepare_ts(*files, options=options, split_seed=split_seed)
    if options.series is not None:
        return prepare_series_of_rows(files[0], options, split_seed=split_seed)
    return prepare_table(files[0], options, split_seed=split_seed)


def _sentence(column: Mapping[str, Any]) -> str:
    missing = f", {column['missing']:.1%} missing" if column["missing"] else ""
    note = f" ({column['note']})" if column["note"] else ""
    return f"Column {column['column']!r} ({column['type']}{missing}): {column['used']}{note}."
