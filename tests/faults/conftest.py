"""What fault tests share: a database server that may die, and a lock of somebody else's."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest

from tests.postgres import PostgresServer
from tuner.db import Database
from tuner.schema import upgrade

#: What it acknowledged survives its processes, though not the machine.
DURABLE = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB")
_numbers = count(1)


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A PostgreSQL server that a test may stop and start."""
    with PostgresServer(DURABLE) as server:
        yield server


@pytest.fixture
def name(mortal: PostgresServer) -> str:
    """A fresh, migrated database on it."""
    if not mortal.running:  # a test that failed has left it so
        mortal.start()
    name = f"mortal_{next(_numbers)}"
    with closing(Database(mortal.create(name))) as database:
        upgrade(database)
    return name


@pytest.fixture
def watched(mortal: PostgresServer, name: str) -> Iterator[Database]:
    """That database, for the test's own eyes."""
    with closing(Database(mortal.url(name))) as database:
        yield database


@pytest.fixture
def served(mortal: PostgresServer, name: str) -> Iterator[Database]:
    """That database, for the service under test."""
    with closing(Database(mortal.url(name))) as database:
        yield database
