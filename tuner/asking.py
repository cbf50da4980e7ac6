"""Single questions at the least cost: those that people ask again and again.

SQLAlchemy makes the SQL, once per statement; the driver is asked directly, without a transaction.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

import orjson
import sqlalchemy as sa

#: Statements are constants; should ever one be made anew each time, they do not pile up.
_KEPT: Final = 256


class Answer:
    """The rows of an answer, read already; their columns are attributes."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows

    def all(self) -> Sequence[Any]:
        """All rows."""
        return self._rows

    def one_or_none(self) -> Any:
        """The only row; None where there is none."""
        return self._rows[0] if self._rows else None

    def scalar_one_or_none(self) -> Any:
        """The first column of the only row; None where there is none."""
        return self._rows[0][0] if self._rows else None


class Asker:
    """Executes queries as a connection does; each sees the database as it is then."""

    def __init__(self, connection: sa.PoolProxiedConnection, dialect: sa.Dialect) -> None:
        self._connection = connection
        self._dialect = dialect

    def execute(self, statement: sa.Select[Any], parameters: Mapping[str, Any]) -> Answer:
        """The answer to a query; `parameters` are strings and numbers."""
        question = _prepared(statement, self._dialect)
        cursor = self._connection.cursor()
        try:
            cursor.execute(question.sql, question.values(parameters))
            return Answer(question.rows(cursor.fetchall()))
        finally:
            cursor.close()


@contextmanager
def asking(engine: sa.Engine) -> Iterator[Asker]:
    """Ask on a connection of `engine`, which must be in autocommit.

    Raises:
        sqlalchemy.exc.OperationalError: the database does not answer, or broke off.
        sqlalchemy.exc.ProgrammingError: it has no such table or column.
    """
    driver = engine.dialect.loaded_dbapi
    unavailable = (driver.OperationalError, driver.InterfaceError)
    try:
        connection = engine.raw_connection()
    except unavailable as error:
        raise sa.exc.OperationalError(None, None, error) from error
    try:
        yield Asker(connection, engine.dialect)
    except unavailable as error:
        connection.invalidate(error)
        engine.dispose()  # the other connections are probably broken too
        raise sa.exc.OperationalError(None, None, error) from error
    except driver.ProgrammingError as error:
        raise sa.exc.ProgrammingError(None, None, error) from error
    finally:
        connection.close()


class _Question:
    """A query as the driver takes it."""

    def __init__(self, statement: sa.Select[Any], dialect: sa.Dialect) -> None:
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        assert isinstance(compiled, sa.sql.compiler.SQLCompiler)
        self.sql = str(compiled)
        self._places = compiled.positiontup
        self._constants = {name: _bound(bind, dialect) for name, bind in compiled.binds.items()}
        columns = list(statement.selected_columns)
        self._row: Any = namedtuple("_row", [column.name for column in columns])  # type: ignore[misc]
        found = (_reader(column.type, dialect) for column in columns)
        self._readers: list[tuple[int, Callable[[Any], Any]]] = [
            (place, reader) for place, reader in enumerate(found) if reader is not None
        ]

    def values(self, parameters: Mapping[str, Any]) -> Any:
        values = {**self._constants, **parameters}
        return values if self._places is None else [values[name] for name in self._places]

    def rows(self, found: Sequence[Any]) -> Sequence[Any]:
        return [self._row._make(self._read(row)) for row in found]

    def _read(self, row: Any) -> Any:
        if not self._readers:
            return row
        cells = list(row)
        for place, reader in self._readers:
            cells[place] = reader(cells[place])
        return cells


@lru_cache(maxsize=_KEPT)
def _prepared(statement: sa.Select[Any], dialect: sa.Dialect) -> _Question:
    return _Question(statement, dialect)


def _reader(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Callable[[Any], Any] | None:
    if isinstance(kind, sa.Float):
        return None  # the drivers know floats; the dialect asks which, of a cursor
    if isinstance(kind, sa.JSON) and dialect.name == "sqlite":
        return _from_json
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _from_json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _bound(bind: sa.BindParameter[Any], dialect: sa.Dialect) -> Any:
    process = bind.type.dialect_impl(dialect).bind_processor(dialect)
    return process(bind.value) if process and bind.value is not None else bind.value
