"""The application over a database of each kind, without a network."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.main import create_app
from tests.factories import NOON
from tuner.db import Database, requests
from tuner.service import Service
from tuner.settings import Settings

ADDRESS = "http://127.0.0.1:8700"

#: For tests of what happens before the database is asked, or of many values.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def never(seconds: float) -> None:
    """Pass time without waiting, while no scheduler does anything."""


@pytest.fixture
def api_settings(settings: Settings, database: Database) -> Settings:
    """Settings that name the test's database."""
    url = database.url.render_as_string(hide_password=False)
    return Settings(home=settings.home, database_url=url)


@pytest.fixture
def open_api(api_settings: Settings, database: Database) -> Iterator[Callable[..., TestClient]]:
    """Opens the application, with settings changed as told; it never waits for a scheduler."""
    opened: list[TestClient] = []

    def open_one(wait: Callable[[float], object] = never, **changes: Any) -> TestClient:
        settings = Settings(**{**api_settings.model_dump(), **changes})
        app = create_app(settings)
        client = TestClient(app, base_url=ADDRESS, raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        app.state.service = Service(database, settings, wait=wait)
        return client

    yield open_one
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def api(open_api: Callable[..., TestClient]) -> TestClient:
    """The application as it is by default."""
    return open_api()


def applies(database: Database, **outcome: Any) -> Callable[[float], None]:
    """A scheduler that answers whatever is asked with `outcome`, while the service waits."""

    def apply(seconds: float) -> None:
        with database.writing() as connection:
            waiting = sa.update(requests).where(requests.c.applied_at.is_(None))
            connection.execute(waiting.values(applied_at=NOON, outcome=outcome))

    return apply
