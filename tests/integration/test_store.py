"""The store on both databases, and what only one of them can show."""

import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from tests.contracts.store_contract import Ask, StoreContract, questions
from tests.factories import insert_job, insert_trials
from tuner.db import Database
from tuner.errors import StoreUnavailable
from tuner.store import jobs


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def database(self, sqlite_database: Database) -> Database:
        return sqlite_database


@pytest.mark.postgres
class TestPostgresStore(StoreContract):
    @pytest.fixture
    def database(self, postgres_database: Database) -> Database:
        return postgres_database


def test_answers_cost_the_same_however_many_trials_there_are(sqlite_database: Database) -> None:
    few, many = insert_job(sqlite_database), insert_job(sqlite_database)
    for job, trial_count in ((few, 400), (many, 8000)):
        # A quarter of the trials share the best value.
        values = [0.99 if n % 4 == 0 else n / trial_count / 2 for n in range(trial_count)]
        insert_trials(sqlite_database, job, [{"value": value} for value in values])
    asks = questions(few, 400).items(), questions(many, 8000).items()
    for (name, small), (_, large) in zip(*asks, strict=True):
        for place, (one, other) in enumerate(zip(small, large, strict=True)):
            steps = _steps_of(sqlite_database, one), _steps_of(sqlite_database, other)
            assert steps[0] == pytest.approx(steps[1], abs=5), (name, place)


def _steps_of(database: Database, ask: Ask) -> int:
    """How many instructions SQLite's machine executes for the answer."""
    with database.reading() as connection:
        raw: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        ask(connection)  # so that its statements are prepared, which takes steps of its own
        steps = count()
        raw.set_progress_handler(lambda: next(steps) and 0, 1)
        try:
            ask(connection)
        finally:
            raw.set_progress_handler(None, 0)
        return next(steps)


def test_a_locked_sqlite_file_is_a_store_that_is_unavailable(sqlite_database: Database) -> None:
    impatient = Database(sqlite_database.url.render_as_string(), patience_s=0.01)
    with closing(impatient), sqlite_database.writing():
        with pytest.raises(StoreUnavailable, match="database is locked"), impatient.writing():
            pass
        with impatient.reading() as connection:
            assert jobs.job_facts(connection, "job_x") is None


def test_a_server_that_is_not_there_is_a_store_that_is_unavailable(tmp_path: Path) -> None:
    with closing(Database(f"postgresql://postgres@/tuner?host={tmp_path}")) as nowhere:  # noqa: SIM117
        with pytest.raises(StoreUnavailable, match="does not answer"), nowhere.reading():
            pass
