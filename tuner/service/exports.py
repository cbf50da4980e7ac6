"""All trials of a job as a file: a table, or a study for Optuna."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Real
from tuner.errors import Fault, SpecInvalid
from tuner.service.part import Part
from tuner.space import Space
from tuner.store import trials
from tuner.store.rows import Row

_FACTS: Final = (
    "number", "state", "source", "value", "best_step", "last_step", "attempts",
    "reason", "detail", "created_at", "started_at", "finished_at",
)  # fmt: skip


class Exports(Part):
    """Gives a job's trials away."""

    def export(self, job: str, file_format: str) -> bytes:
        """All trials of the job, by number, as ``csv``, ``parquet`` or ``optuna``.

        The last is a journal that Optuna opens with ``JournalStorage(JournalFileBackend(file))``;
        it holds the finished trials, in a study named after the job.

        Raises:
            SpecInvalid: there is no such format.
            JobNotFound, StoreUnavailable.
        """
        write = _FORMATS.get(file_format)
        if write is None:
            detail = f"format = {file_format!r} must be one of {', '.join(_FORMATS)}."
            raise SpecInvalid([Fault(pointer="format", code="format", detail=detail)])
        with self._db.reading() as connection:
            row = self._detail(connection, job)
            space = Space.from_json(row.plan["space"])
            return write(space, trials.all_trials(connection, row.id))


def _records(space: Space, rows: Iterator[Row]) -> Iterator[dict[str, Any]]:
    """One flat record for each trial; a parameter that was inactive in it is None."""
    for row in rows:
        record = {name: getattr(row, name) for name in _FACTS}
        record |= {f"params_{name}": row.params.get(name) for name in space.names}
        yield record


def _csv(space: Space, rows: Iterator[Row]) -> bytes:
    names = [*_FACTS, *(f"params_{name}" for name in space.names)]
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, names)
    table.writeheader()
    for record in _records(space, rows):
        table.writerow({name: _cell(value) for name, value in record.items()})
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _parquet(space: Space, rows: Iterator[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field(name, _fact_type(pa, name)) for name in _FACTS]
    fields += [pa.field(f"params_{p.name}", _value_type(pa, p)) for p in space.parameters]
    texts = {field.name for field in fields if pa.types.is_string(field.type)}
    records = [_as_text(record, texts) for record in _records(space, rows)]
    table = pa.Table.from_pylist(records, schema=pa.schema(fields))
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _fact_type(pa: Any, name: str) -> Any:
    match name:
        case "value":
            return pa.float64()
        case "number" | "best_step" | "last_step" | "attempts":
            return pa.int64()
        case "created_at" | "started_at" | "finished_at":
            return pa.timestamp("us", tz="UTC")
        case _:
            return pa.string()


def _value_type(pa: Any, parameter: Hyperparameter) -> Any:
    """The column for a parameter: of its own type, of text where its values differ in type."""
    match parameter:
        case Real():
            return pa.float64()
        case Integer():
            return pa.int64()
        case Choice() | Fixed():
            values = parameter.choices if isinstance(parameter, Choice) else (parameter.value,)
            types = {type(value) for value in values}
            if types <= {int, float} and types != {int}:
                return pa.float64()
            columns = {bool: pa.bool_(), int: pa.int64(), str: pa.string()}
            return columns[types.pop()] if len(types) == 1 else pa.string()


def _as_text(record: Mapping[str, Any], texts: set[str]) -> dict[str, Any]:
    return {
        name: str(value) if name in texts and value is not None else value
        for name, value in record.items()
    }


_FORMATS: Final[Mapping[str, Callable[[Space, Iterator[Row]], bytes]]] = {
    "csv": _csv,
    "parquet": _parquet,
}
