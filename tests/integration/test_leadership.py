"""One scheduler leads; who lost the lock knows it before it writes much."""

import threading
from contextlib import closing

import pytest
import sqlalchemy as sa

from tuner.db import Database
from tuner.errors import LeadershipTaken
from tuner.leader.leadership import ADVISORY_LOCK, leading


def nobody_waits() -> None:
    raise AssertionError("nobody else leads")


def test_a_second_scheduler_waits_and_gives_up_when_told(database: Database) -> None:
    waited = []
    with leading(database, patience_s=0, waiting=nobody_waits) as leadership:
        leadership.confirm()
        with (
            closing(Database(database.url.render_as_string(hide_password=False))) as other,
            pytest.raises(LeadershipTaken),
            leading(other, patience_s=0.3, waiting=lambda: waited.append(True)),
        ):
            pass
    assert waited == [True]
    with leading(database, patience_s=0, waiting=nobody_waits):
        pass


def test_a_standby_takes_over_when_the_leader_ends(database: Database) -> None:
    standing_by, leads = threading.Event(), threading.Event()

    def stand_by() -> None:
        url = database.url.render_as_string(hide_password=False)
        with (
            closing(Database(url)) as other,
            leading(other, patience_s=30, waiting=standing_by.set),
        ):
            leads.set()

    thread = threading.Thread(target=stand_by)
    with leading(database, patience_s=0, waiting=nobody_waits):
        thread.start()
        assert standing_by.wait(30)
        assert not leads.is_set()
    assert leads.wait(30)
    thread.join()


@pytest.mark.postgres
def test_a_cut_connection_is_replaced_and_the_lock_taken_again(
    postgres_database: Database,
) -> None:
    with leading(postgres_database, patience_s=0, waiting=nobody_waits) as leadership:
        _cut_the_holder(postgres_database)
        leadership.confirm()
        with postgres_database.reading() as connection:
            assert not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(ADVISORY_LOCK)))


@pytest.mark.postgres
def test_a_leader_whose_lock_another_took_steps_down(postgres_database: Database) -> None:
    with leading(postgres_database, patience_s=0, waiting=nobody_waits) as leadership:
        _cut_the_holder(postgres_database)
        url = postgres_database.url.render_as_string(hide_password=False)
        with (
            closing(Database(url)) as other,
            leading(other, patience_s=10, waiting=lambda: None),
            pytest.raises(LeadershipTaken),
        ):
            leadership.confirm()


@pytest.mark.postgres
def test_a_database_that_stays_away_is_asked_again_later(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with leading(postgres_database, patience_s=0, waiting=nobody_waits) as leadership:
        _cut_the_holder(postgres_database)
        with monkeypatch.context() as away:

            def refuse(*_: object) -> None:
                raise sa.exc.OperationalError("connect", None, Exception("away"))

            away.setattr(sa.Engine, "connect", refuse)
            leadership.confirm()
            leadership.confirm()
        leadership.confirm()
        with postgres_database.reading() as connection:
            assert not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(ADVISORY_LOCK)))


def _cut_the_holder(database: Database) -> None:
    holder = sa.text(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'"
    )
    with database.writing() as connection:
        assert connection.scalar(holder)
