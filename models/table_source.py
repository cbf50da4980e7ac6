"""What a spec says of a table, followed to the table itself, and to its shape. Without torch."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.catalog import DataRefused, DataShape, DataSource
from models.files import marks_of
from models.table_entry import BUNDLED
from models.table_files import table_files
from models.tables.bundled import bundled_table
from models.tables.options import TableOptions
from models.tables.prepare import PreparedTable, prepare, prepare_table


def options_of(source: DataSource) -> TableOptions:
    """What the source says of its table.

    Raises:
        DataRefused: there is no target, or an option has an impossible value.
    """
    options = dict(source.options)
    if source.name in BUNDLED:
        options["target"] = "target"
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


def prepared(source: DataSource, roots: tuple[str, ...], split_seed: int = 0) -> PreparedTable:
    """The table, read, divided and made numbers.

    Raises:
        DataRefused: it is missing, or cannot be used so.
    """
    return _prepared(source.name, table_files(source, roots), options_of(source), split_seed)


def inspect_table(source: DataSource, roots: tuple[str, ...]) -> DataShape:
    """The shape of the table's examples; the whole table is read for it."""
    return _looked_into(source, roots)[0]


def explain_table(source: DataSource, roots: tuple[str, ...]) -> tuple[str, ...]:
    """How each column is used, a sentence a column."""
    return _looked_into(source, roots)[1]


def _looked_into(source: DataSource, roots: tuple[str, ...]) -> tuple[DataShape, tuple[str, ...]]:
    files = table_files(source, roots)
    return _facts(source.name, files, marks_of(files), options_of(source))


@lru_cache(maxsize=64)
def _facts(
    name: str, files: tuple[Path, ...], marks: Any, options: TableOptions
) -> tuple[DataShape, tuple[str, ...]]:
    """Shape and sentences, once for each state of the files; the rows themselves are let go."""
    table = _prepared(name, files, options, 0)
    return table.shape, tuple(map(_sentence, table.preparation.describe()))


def _prepared(
    name: str, files: tuple[Path, ...], options: TableOptions, split_seed: int
) -> PreparedTable:
    if name in BUNDLED:
        return prepare(bundled_table(name), options, split_seed=split_seed)
    return prepare_table(files[0], options, split_seed=split_seed)


def _sentence(column: Mapping[str, Any]) -> str:
    missing = f", {column['missing']:.1%} missing" if column["missing"] else ""
    note = f" ({column['note']})" if column["note"] else ""
    return f"Column {column['column']!r} ({column['type']}{missing}): {column['used']}{note}."
