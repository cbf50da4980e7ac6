"""Connections that somebody uses while their engine is disposed of."""

import pytest
import sqlalchemy as sa

from tuner.db import Database

pytestmark = pytest.mark.postgres


def driver_s(connection: sa.Connection) -> object:
    """The driver's connection below."""
    return connection.connection.driver_connection


def test_one_that_is_given_back_after_its_engine_was_disposed_of_is_closed(
    postgres_database: Database,
) -> None:
    engine = postgres_database.engine
    with engine.connect() as late:
        below = driver_s(late)
        engine.dispose()
        assert late.scalar(sa.text("SELECT 1")) == 1, "whoever uses it may end"
    assert getattr(below, "closed") is True  # noqa: B009


def test_any_other_is_kept_for_the_next(postgres_database: Database) -> None:
    engine = postgres_database.engine
    engine.dispose()
    with engine.connect() as first:
        below = driver_s(first)
    with engine.connect() as second:
        assert driver_s(second) is below
        second.scalar(sa.text("SELECT 1"))
