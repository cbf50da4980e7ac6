"""Migrations: equal to the tables, whole or not at all, by many processes at once."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tests.postgres import PostgresServer
from tests.statements import recorded
from tuner.db import Database, metadata, trials
from tuner.errors import SchemaMismatch
from tuner.migrations.applying import steps
from tuner.schema import HEAD, VERSION_TABLE, check, current, upgrade

_numbers = count(1)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"empty_{next(_numbers)}"
    yield server.create(name)
    server.drop(name)


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """A database without tables."""
    with closing(Database(empty_url)) as database:
        yield database


def test_migrated_database_equals_the_tables_in_code(database: Database) -> None:
    with database.reading() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        options |= {"compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_migrated_sqlite_has_the_very_tables_of_the_metadata(
    sqlite_database: Database, tmp_path: Path
) -> None:
    # Alembic compares neither the cascade of foreign keys nor WITHOUT ROWID.
    with closing(Database(f"sqlite:///{tmp_path / 'created.db'}")) as created:
        with created.writing() as connection:
            metadata.create_all(connection)
        assert _definitions(sqlite_database) == _definitions(created)


def _definitions(database: Database) -> dict[str, list[str]]:
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != :own"
    with database.reading() as connection:
        rows = connection.execute(sa.text(query), {"own": VERSION_TABLE}).all()
    # A column that was added stands on one line with the one before it.
    parts = {name: (part.strip() for part in re.split("[,\n]", sql)) for name, sql in rows}
    return {name: sorted(filter(None, found)) for name, found in parts.items()}


def test_the_constant_is_the_newest_step() -> None:
    assert ScriptDirectory.from_config(steps()).get_heads() == [HEAD]


def test_an_empty_database_has_no_schema_and_is_refused(empty: Database) -> None:
    assert current(empty) is None
    with pytest.raises(SchemaMismatch) as refusal:
        check(empty)
    assert str(refusal.value) == f"The database is at schema none; this needs {HEAD}."
    assert refusal.value.hint == "Run `tuner db upgrade`."


def test_upgrade_brings_an_empty_database_to_the_newest_schema(empty: Database) -> None:
    upgrade(empty)
    assert current(empty) == HEAD
    check(empty)


def test_upgrade_of_a_current_database_writes_nothing(database: Database) -> None:
    with recorded(database) as statements:
        upgrade(database)
    assert statements
    assert not [sql for sql, _ in statements if sql.startswith(("CREATE", "INSERT", "UPDATE"))]


def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    for use in (upgrade, check):
        with pytest.raises(SchemaMismatch) as refusal:
            use(database)
        assert str(refusal.value) == f"The database is at schema 9999; this needs {HEAD}."
        assert refusal.value.hint == (
            "A newer version of this program wrote the database, and nothing leads back: "
            "install that version or a later one, or restore a backup."
        )
    assert current(database) == "9999"


def test_a_database_of_an_older_version_is_refused_with_the_remedy(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '0001'"))
    with pytest.raises(SchemaMismatch) as refusal:
        check(database)
    assert str(refusal.value) == f"The database is at schema 0001; this needs {HEAD}."
    assert (
        refusal.value.hint == "Stop the service, back the database up, and run `tuner db upgrade`."
    )


def test_optunas_own_version_table_is_no_obstacle(empty: Database) -> None:
    with empty.writing() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('v3.2.0.a')"))
    upgrade(empty)
    check(empty)


def test_trials_of_an_older_schema_are_kept_through_an_upgrade(empty: Database) -> None:
    with empty.writing() as connection:
        config = steps()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        row = {"id": 1, "ulid": "job_x", "name": "old", "state": "running", "priority": 0}
        row |= {"spec_digest": "", "created_at": "2026-01-01 00:00:00"}
        row |= {name: "{}" for name in ("spec", "plan", "budget", "labels")}
        connection.execute(_insert("jobs", row), row)
        row = {"id": 1, "job_id": 1, "number": 0, "state": "running", "source": "default"}
        row |= {"params": "{}", "system_attrs": "{}", "created_at": "2026-01-01 00:00:00"}
        connection.execute(_insert("trials", row), row)
    assert current(empty) == "0001"
    upgrade(empty)
    check(empty)
    with empty.reading() as connection:
        found = connection.execute(sa.select(trials.c.number, trials.c.progress)).all()
    assert found == [(0, None)]


def _insert(table: str, row: dict[str, object]) -> sa.TextClause:
    names = ", ".join(row)
    places = ", ".join(f":{name}" for name in row)
    return sa.text(f"INSERT INTO {table} ({names}) VALUES ({places})")


def test_checking_the_schema_does_not_import_alembic(sqlite_database: Database) -> None:
    program = (
        "import sys; from tuner.db import Database; from tuner.schema import check, upgrade;"
        "db = Database(sys.argv[1]); check(db); upgrade(db); db.close();"
        "sys.exit('alembic' in sys.modules)"
    )
    url = sqlite_database.url.render_as_string()
    assert subprocess.run([sys.executable, "-c", program, url], check=False).returncode == 0
