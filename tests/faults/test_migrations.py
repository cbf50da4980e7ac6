"""Migrations: killed at any statement, by many at once, and of databases that older code wrote."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.faults.counting import Counts
from tests.invariants import assert_invariants
from tests.postgres import PostgresServer
from tests.servers import command
from tests.stand import Stand
from tuner.db import Database, jobs, metadata
from tuner.executors.inline import InlineExecutor
from tuner.schema import HEAD, VERSION_TABLE, check, current, upgrade
from tuner.service import Service
from tuner.settings import Settings
from tuner.store import replay

Rounds = Callable[[int, int], int]

OLDER = Path(__file__).parents[1] / "databases" / "0001"

#: Upgrades the database once per line of its input, in a fork of its own that is killed before its
#: so manieth statement or commit; says how each ended.
UPGRADER = """
import os, signal, sys
import sqlalchemy as sa
from itertools import count
from tuner import engines
from tuner.db import Database
from tuner.migrations import applying
from tuner.schema import upgrade

if "wal" in sys.argv:
    engines.journal_mode = lambda version: "WAL"

def upgraded(last):
    database, seen = Database(sys.argv[1]), count(1)
    def act(*rest):
        if next(seen) == last:
            os.kill(os.getpid(), signal.SIGKILL)
    sa.event.listen(database.engine, "before_cursor_execute", act)
    sa.event.listen(database.engine, "commit", act)
    upgrade(database)
    database.close()

for line in sys.stdin:
    if (child := os.fork()) == 0:
        upgraded(int(line))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Upgrader:
    """A process that upgrades a database when it is told to, and may be killed amid it."""

    def __init__(self, url: str, *how: str) -> None:
        words = [sys.executable, "-W", "error", "-c", UPGRADER, url, *how]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._in, self._out = self.process.stdin, self.process.stdout

    def begin(self, killed_at: int = 0) -> None:
        """Upgrade; killed before this statement, counted from 1."""
        self._in.write(f"{killed_at}\n")
        self._in.flush()

    def code(self) -> int:
        """How that ended."""
        return int(self._out.readline())


@contextmanager
def upgrader(url: str, *how: str) -> Iterator[Upgrader]:
    one = Upgrader(url, *how)
    with one.process:
        yield one
        one.process.communicate()


# --- databases to migrate


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    yield server.create("to_migrate")
    server.drop("to_migrate")


@pytest.fixture
def older_url(kind: str, empty_url: str) -> str:
    """The address of a database as the code of schema 0001 left it."""
    if kind == "sqlite":
        shutil.copy(OLDER / "sqlite.db", str(make_url(empty_url).database))
    else:
        with psycopg.connect(empty_url, autocommit=True) as connection:
            connection.execute((OLDER / "postgres.sql").read_bytes())
    return empty_url


@pytest.fixture
def answers(kind: str) -> Any:
    """What the older service answered about its jobs."""
    return json.loads((OLDER / f"{kind}.json").read_text())


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def rows_of(database: Database) -> dict[str, int]:
    """How many rows each table has that is there."""
    with database.reading() as connection:
        there = sa.inspect(connection).get_table_names()
        return {
            table: connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0
            for table in there
            if table in metadata.tables
        }


# --- killed


def kill_everywhere(database: Database, *, stride: int) -> int:
    """Upgrade, killed at every `stride`-th statement, until one comes through; how many were cut.

    After each kill the database is as it was.
    """
    version, rows, kills = current(database), rows_of(database), 0
    with upgrader(url_of(database)) as one:
        one.begin(1 + kills * stride)
        while one.code() == -signal.SIGKILL:
            assert (current(database), rows_of(database)) == (version, rows)
            kills += 1
            one.begin(1 + kills * stride)
    check(database)
    return kills


def test_an_upgrade_killed_at_any_statement_leaves_an_empty_database_empty(
    empty_url: str, rounds: Rounds, counted: Counts
) -> None:
    stride, fault = rounds(9, 1), "migrations killed at a statement, of an empty database"
    with closing(Database(empty_url)) as database, counted(fault, database) as count:
        kills = kill_everywhere(database, stride=stride)
        count.add(kills, left_as_it_was=kills)
        assert kills * stride > len(metadata.tables)
        assert set(rows_of(database)) == set(metadata.tables)


def test_an_upgrade_killed_at_any_statement_leaves_an_older_database_as_it_was(
    older_url: str, rounds: Rounds, counted: Counts
) -> None:
    fault = "migrations killed at a statement, of an older version's database"
    with closing(Database(older_url)) as database, counted(fault, database) as count:
        before = rows_of(database)
        kills = kill_everywhere(database, stride=rounds(3, 1))
        count.add(kills, left_as_it_was=kills)
        assert kills > 1
        after = rows_of(database)
    assert {table: after[table] for table in before} == before


# --- several at once


@pytest.mark.parametrize("how", [[], ["wal"]])
def test_processes_that_upgrade_at_the_same_time_all_succeed(
    empty_url: str, how: list[str], rounds: Rounds
) -> None:
    processes = [Upgrader(empty_url, *how) for _ in range(rounds(2, 4))]
    for one in processes:
        one.begin()
    codes = [one.code() for one in processes]
    for one in processes:
        with one.process:
            one.process.communicate()
    assert set(codes) == {0}
    with closing(Database(empty_url)) as database:
        check(database)


def test_who_waits_for_one_that_is_killed_takes_over(older_url: str) -> None:
    with upgrader(older_url) as killed, upgrader(older_url) as other:
        killed.begin(killed_at=6)
        other.begin()
        assert {killed.code(), other.code()} <= {0, -signal.SIGKILL}
    with closing(Database(older_url)) as database:
        check(database)


# --- a database of older code


def test_what_an_older_version_wrote_is_answered_as_it_answered(
    older_url: str, answers: Any, settings: Settings
) -> None:
    with closing(Database(older_url)) as database:
        assert current(database) == "0001"
        upgrade(database)
        assert current(database) == HEAD
        service = Service(database, settings)
        assert {job.id for job in service.jobs().jobs} == set(answers)
        for job, answer in answers.items():
            assert_same(service, job, answer)
        with database.reading() as connection:
            killed_at = replay.last_beat(connection)
        assert_invariants(database, now=killed_at)


def assert_same(service: Service, job: str, before: Any) -> None:
    """Whatever the older service said of a job, this one says too; it may say more."""
    assert_within(before["job"], plain(service.job(job)), without={"progress", "seconds"})
    listed = service.trials(job, page_size=500).trials
    assert_within(before["trials"], plain_all(listed), without={"seconds"})
    if before["best"]:
        assert_within(before["best"], plain(service.best(job, 3))["best"], without={"seconds"})
    for trial, attempts, curves in zip(listed, before["attempts"], before["curves"], strict=True):
        assert_within(attempts, plain(service.attempts(job, trial.number)))
        assert_within(curves, plain(service.curves(job, trial.number)))
    events = service.events(job, 0, 500)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[0].kind == "submitted"


def plain(view: Any) -> Any:
    return view.model_dump(mode="json", by_alias=True)


def plain_all(views: Any) -> list[Any]:
    return [plain(view) for view in views]


def assert_within(part: Any, whole: Any, *, without: set[str] = frozenset()) -> None:
    """`part` is in `whole`, which may have further keys."""
    if isinstance(part, dict):
        for key in part.keys() - without:
            assert_within(part[key], whole[key], without=without)
    elif isinstance(part, list):
        assert len(part) == len(whole)
        for one, other in zip(part, whole, strict=True):
            assert_within(one, other, without=without)
    else:
        assert part == whole


def test_jobs_that_an_older_version_had_under_way_are_finished(
    older_url: str, settings: Settings
) -> None:
    with closing(Database(older_url)) as database:
        upgrade(database)
        with Stand(database, settings, InlineExecutor()) as stand:
            stand.until(lambda: states_of(database)["under way"] == "succeeded")
        assert states_of(database) == {
            "good": "succeeded",
            "diverging": "failed",
            "cancelled": "cancelled",
            "paused": "paused",
            "under way": "succeeded",
        }
        with database.reading() as connection:
            done = connection.execute(sa.select(jobs).where(jobs.c.name == "under way")).one()
        assert done.created == done.budget["trials"]
        assert_invariants(database)


def states_of(database: Database) -> dict[str, str]:
    with database.reading() as connection:
        return {row.name: row.state for row in connection.execute(sa.select(jobs))}


# --- what people are told


def refused(*words: str) -> str:
    """What a command says that refuses to work; it ends with exit code 1."""
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "words", [["api", "--port=0"], ["scheduler"], ["serve", "--port=0", "--no-migrate"]]
)
def test_a_database_that_was_not_upgraded_is_refused_with_the_remedy(
    settings: Settings, words: list[str]
) -> None:
    settings.root.mkdir(parents=True)
    shutil.copy(OLDER / "sqlite.db", str(make_url(settings.url).database))
    assert refused(*words).splitlines() == [
        f"error: The database is at schema 0001; this needs {HEAD}.",
        "hint: Stop the service, back the database up, and run `tuner db upgrade`.",
    ]


def test_a_database_of_a_newer_version_is_refused_by_whoever_would_use_it(
    settings: Settings,
) -> None:
    with closing(Database(settings.url)) as database:
        upgrade(database)
        with database.writing() as connection:
            connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    hint = (
        "hint: A newer version of this program wrote the database, and nothing leads back: "
        "install that version or a later one, or restore a backup."
    )
    error = f"error: The database is at schema 9999; this needs {HEAD}."
    assert refused("serve", "--port=0").splitlines() == [error, hint]
    assert refused("db", "upgrade").splitlines() == [error, hint]
    assert refused("db", "current").splitlines() == [hint]
