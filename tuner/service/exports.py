"""All trials of a job as a file: a table, or a study for Optuna."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Real, Value
from tuner.errors import Fault, NoCompletedTrial, SpecInvalid
from tuner.service.part import Part
from tuner.service.presentation import metrics_of
from tuner.space import Space
from tuner.store import trials
from tuner.store.rows import Row
from tuner.store.trials import TrialOrder
from tuner.store.unreadable import readable
from tuner.views import Importances

_Record = dict[str, Any]
#: Of the columns of parameters and of several metrics, and the records, makes a file.
_Writer = Callable[[Space, Sequence[str], Iterator[_Record]], bytes]

_PAGE: Final = 1000
_FACTS: Final = (
    "number", "state", "source", "value", "best_step", "last_step", "attempts",
    "reason", "detail", "created_at", "started_at", "finished_at",
)  # fmt: skip


class Exports(Part):
    """Gives a job's trials away, whole or boiled down."""

    def export(self, job: str, file_format: str) -> bytes:
        """All trials of the job, by number, as ``csv``, ``parquet`` or ``optuna``.

        The last is a journal that Optuna opens with ``JournalStorage(JournalFileBackend(file))``;
        it holds the finished trials, in a study named after the job.

        Raises:
            SpecInvalid: there is no such format.
            JobNotFound, StoreUnavailable.
        """
        match file_format:
            case "csv":
                return self._table(job, _csv)
            case "parquet":
                return self._table(job, _parquet)
            case "optuna":
                return self._journal(job)
        detail = f"format = {file_format!r} must be csv, parquet or optuna."
        raise SpecInvalid([Fault(pointer="format", code="format", detail=detail)])

    def importances(self, job: str) -> Importances:
        """How much each searched parameter matters for the value (PED-ANOVA), summing to 1.

        Empty where the completed trials all have one value, and so tell nothing.

        Raises:
            JobNotFound, NoCompletedTrial, StoreUnavailable.
        """
        from tuner.service.analysis import importances_of

        with self._db.reading() as connection:
            row = self._detail(connection, job)
        if row.completed == 0:
            raise NoCompletedTrial(job, row.state)
        with readable(job):
            importances = importances_of(self._db, job)
        return Importances(importances=importances, trials=row.completed)

    def _table(self, job: str, write: _Writer) -> bytes:
        with self._db.reading() as connection:
            row = self._detail(connection, job)
        with readable(job):
            space = Space.from_json(row.plan["space"])
            metrics = tuple(metrics_of(row)) if row.others else ()
        if not space.parameters:
            space = _space_told(self._all_trials(job))
        return write(space, metrics, _records(space, metrics, self._all_trials(job)))

    def _all_trials(self, job: str) -> Iterator[Row]:
        # A transaction for each page: on SQLite the scheduler's commit waits for open readers.
        order = TrialOrder.NUMBER
        place = order.start
        while rows := self._page(job, order, place):
            yield from rows
            place = (0.0, rows[-1].number)

    def _page(self, job: str, order: TrialOrder, place: tuple[float, int]) -> Sequence[Row]:
        with self._db.reading() as connection:
            return trials.page_of_trials(
                connection, job, state=None, order=order, after=place, limit=_PAGE
            )

    def _journal(self, job: str) -> bytes:
        from tuner.service.analysis import journal_of

        with self._db.reading() as connection:
            row = self._facts(connection, job)
        with readable(job):
            return journal_of(self._db, row.id, row.ulid)


def _space_told(rows: Iterator[Row]) -> Space:
    """The parameters that trials had, where an objective suggested them as it ran.

    Of each one value of every type is kept, which is what a column needs to know.
    """
    values: dict[str, dict[type, Value]] = {}
    for row in rows:
        for name, value in row.params.items():
            values.setdefault(name, {}).setdefault(type(value), value)
    told = (
        (name, tuple(v for v in kinds.values() if v is not None)) for name, kinds in values.items()
    )
    return Space(tuple(Choice(name=n, choices=v, default=v[0]) for n, v in told if v))


def _records(space: Space, metrics: Sequence[str], rows: Iterator[Row]) -> Iterator[_Record]:
    """One flat record for each trial; a parameter that was inactive in it is None."""
    for row in rows:
        record = {name: getattr(row, name) for name in _FACTS}
        values = row._mapping["values"] or [None] * len(metrics)
        record |= {f"values_{name}": value for name, value in zip(metrics, values, strict=True)}
        record |= {f"params_{name}": row.params.get(name) for name in space.names}
        yield record


def _csv(space: Space, metrics: Sequence[str], records: Iterator[_Record]) -> bytes:
    of_metrics = (f"values_{name}" for name in metrics)
    names = [*_FACTS, *of_metrics, *(f"params_{name}" for name in space.names)]
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, names)
    table.writeheader()
    for record in records:
        table.writerow({name: _cell(value) for name, value in record.items()})
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _parquet(space: Space, metrics: Sequence[str], records: Iterator[_Record]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field(name, _fact_type(pa, name)) for name in _FACTS]
    fields += [pa.field(f"values_{name}", pa.float64()) for name in metrics]
    fields += [pa.field(f"params_{p.name}", _value_type(pa, p)) for p in space.parameters]
    texts = {field.name for field in fields if pa.types.is_string(field.type)}
    rows = [_as_text(record, texts) for record in records]
    table = pa.Table.from_pylist(rows, schema=pa.schema(fields))
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
