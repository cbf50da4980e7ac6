"""What all tests share: databases of both kinds, settings of their own."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from tests.faults.counting import Counts
from tests.postgres import PostgresServer
from tuner.db import Database
from tuner.schema import upgrade
from tuner.settings import Settings

_numbers = count(1)
DOCS = Path(__file__).parents[1] / "docs"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option of ``make faults``."""
    parser.addoption(
        "--faults", action="store_true", help="run fault injections at their full counts"
    )


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """``rounds(short, long)``: how often to inject a fault, `long` with ``--faults``."""
    full = request.config.getoption("--faults")
    return lambda short, long: long if full else short


@pytest.fixture(scope="session")
def counted(request: pytest.FixtureRequest) -> Counts:
    """``with counted(fault, database) as count``: the page has it, with ``--faults``."""
    return Counts(DOCS if request.config.getoption("--faults") else None)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and so would all we start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """What is bit-identical is so on one thread; and threads of two test processes would spin,
    waiting for each other's cores."""
    if torch := sys.modules.get("torch"):  # else no test here computes
        torch.set_num_threads(1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TUNER_HOME, also for the processes a test starts; no other setting is set.

    What a killed process leaves in its temporary folder lies in the test's, too.
    """
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("DATABASE_URL", "HOST", "PORT", "API_TOKEN", "URL", "DATA_ROOTS", "CPUS"):
        monkeypatch.delenv(f"TUNER_{name}", raising=False)
    monkeypatch.setenv("TUNER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings whose everything lies in the test's own folder."""
    return Settings(home=home)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """An empty database on that server."""
    return postgres.create("empty")


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a migrated database, to be copied."""
    with closing(Database(postgres.create("template_tuner"))) as database:
        upgrade(database)
    return "template_tuner"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    with closing(Database(f"sqlite:///{file}")) as database:
        upgrade(database)
    return file


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """A fresh, migrated SQLite database."""
    file = shutil.copy(sqlite_template, tmp_path / "tuner.db")
    with closing(Database(f"sqlite:///{file}")) as database:
        yield database


@pytest.fixture
def postgres_database(postgres: PostgresServer, postgres_template: str) -> Iterator[Database]:
    """A fresh, migrated PostgreSQL database."""
    name = f"test_{next(_numbers)}"
    with closing(Database(postgres.create(name, postgres_template))) as database:
        yield database
    postgres.drop(name)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[None]:
    """An S3 server of this test process."""
    from tests.s3 import s3_server

    with s3_server():
        yield


@pytest.fixture
def s3_address(s3_server: None) -> str:
    """An empty place on that server."""
    return f"s3://tuner/{next(_numbers)}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Database:
    """A fresh, migrated database; the test runs on both kinds."""
    database: Database = request.getfixturevalue(f"{request.param}_database")
    return database
