"""One scheduler leads; who has lost the right writes nothing any more."""

import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa

from tests.faults.counting import Counts
from tests.stand import Stand
from tuner.db import Database, attempts, events, hosts, jobs, leadership, metrics, requests, trials
from tuner.errors import LeadershipTaken, StoreUnavailable
from tuner.executors.inline import InlineExecutor
from tuner.leader.leadership import leading
from tuner.leader.lease import RECONNECT_S, Line, Renewal, Standby
from tuner.settings import Settings
from tuner.store.leadership import LEASE, claim, hold, leader_of, look, renew

LEASE_S = LEASE.total_seconds()
Rounds = Callable[[int, int], int]


def nobody_waits() -> None:
    raise AssertionError("nobody else leads")


def leader(database: Database) -> tuple[str, int] | None:
    with database.asking() as asker:
        found = leader_of(asker)
    return found and (found.holder, found.epoch)


@contextmanager
def another(database: Database) -> Iterator[Database]:
    """The database as another process has it open."""
    url = database.url.render_as_string(hide_password=False)
    with closing(Database(url)) as other:
        yield other


def usurp(database: Database) -> None:
    """Another leads from now on, as if the leader had been stopped."""
    epoch = None
    while epoch is None:  # the leader may renew between look and claim
        with database.writing() as connection:
            epoch = claim(connection, look(connection), "elsewhere:1")


def test_a_second_scheduler_waits_and_gives_up_when_told(database: Database) -> None:
    waited = []
    with leading(database, patience_s=0, waiting=nobody_waits) as leadership:
        leadership.confirm()
        with (
            another(database) as other,
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
        with (
            another(database) as other,
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


def test_everyone_can_read_who_leads(database: Database) -> None:
    me = f"{platform.node()}:{os.getpid()}"
    assert leader(database) is None
    for epoch in (1, 2):
        with leading(database, patience_s=0, waiting=nobody_waits) as mine:
            assert leader(database) == (me, epoch) == (me, mine.epoch)
        assert leader(database) is None


@pytest.mark.postgres
def test_a_leader_that_is_silent_for_too_long_is_not_shown(postgres_database: Database) -> None:
    with postgres_database.writing() as connection:
        assert claim(connection, look(connection), "elsewhere:1") == 1
    assert leader(postgres_database) == ("elsewhere:1", 1)
    move_expiry(postgres_database, -LEASE)
    assert leader(postgres_database) is None


def test_of_two_who_saw_the_same_one_leads(database: Database) -> None:
    for epoch in (1, 2):
        with database.writing() as connection:
            seen = look(connection)
            assert claim(connection, seen, "one:1") == epoch
            assert claim(connection, seen, "two:2") is None


# --- what is written under an epoch that is over


def all_rows(database: Database) -> list[list[sa.Row[tuple[object, ...]]]]:
    tables = (jobs, trials, attempts, metrics, events, requests, hosts)
    with database.reading() as connection:
        return [list(connection.execute(sa.select(table))) for table in tables]


def test_a_transaction_of_a_former_leader_leaves_nothing(database: Database) -> None:
    with leading(database, patience_s=0, waiting=nobody_waits) as mine:
        with mine.database.writing() as connection:
            assert hold(connection, mine.epoch)
        usurp(database)
        message = r"^Another scheduler leads on (sqlite|postgresql):"
        with pytest.raises(LeadershipTaken, match=message), mine.database.writing():
            raise AssertionError("the transaction began")
        with mine.database.reading() as connection:
            assert not hold(connection, mine.epoch)
    assert leader(database) == ("elsewhere:1", 2)


def led(database: Database, settings: Settings, program: str = "climb") -> Stand:
    """A scheduler of epoch 1; what the test itself writes has no condition."""
    usurp(database)

    def condition(connection: sa.Connection) -> None:
        if not hold(connection, 1):
            raise LeadershipTaken("here")

    stand = Stand(database, settings, InlineExecutor(), program=program)
    stand.loop_database = database.on_condition(condition)
    return stand


def test_a_former_leader_records_nothing_of_what_it_hears(
    database: Database, settings: Settings
) -> None:
    with led(database, settings) as stand:
        job = stand.submit(budget={"trials": 50, "epochs": 20}, search={"pruner": "none"})
        stand.until(lambda: stand.job(job)["completed"])
        usurp(database)
        before = all_rows(database)
        with pytest.raises(LeadershipTaken):
            stand.until(lambda: False)
        assert all_rows(database) == before


@pytest.mark.parametrize("kind", ["delete", "cancel", "pause"])
def test_a_former_leader_answers_no_request(
    database: Database, settings: Settings, kind: str
) -> None:
    with led(database, settings) as stand:
        job = stand.submit(budget={"trials": 1, "epochs": 1})
        stand.finish(job)
        folder = settings.artifacts / "jobs" / job.ulid
        folder.mkdir(parents=True)
        usurp(database)
        stand.request(job, kind)
        before = all_rows(database)
        with pytest.raises(LeadershipTaken):
            stand.until(lambda: False)
        assert all_rows(database) == before
        assert folder.exists()


def test_a_former_leader_with_nothing_to_do_does_not_say_that_it_lives(
    database: Database, settings: Settings
) -> None:
    with led(database, settings) as stand:
        stand.loop.tick(0)
        usurp(database)
        before = all_rows(database)
        with pytest.raises(LeadershipTaken):
            stand.until(lambda: False)
        assert all_rows(database) == before


def test_a_former_leader_gives_up_no_files(database: Database, settings: Settings) -> None:
    with led(database, settings.model_copy(update={"disk_gb": 1e-9})) as stand:
        job = stand.submit(budget={"trials": 3, "epochs": 1}, search={"pruner": "none"})
        folder = settings.artifacts / "jobs" / job.ulid
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 100_000)
        usurp(database)
        with pytest.raises(LeadershipTaken):
            stand.until(lambda: False)
        assert (folder / "file").exists()


# --- the lease


class Turns:
    """A clock that goes as far as it is told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def turns() -> Turns:
    """What the standby goes by."""
    return Turns()


@pytest.fixture
def line(postgres_database: Database) -> Iterator[Line]:
    """The leader's connection."""
    with closing(Line(postgres_database)) as line:
        yield line


@pytest.fixture
def standby(postgres_database: Database, turns: Turns) -> Iterator[Standby]:
    """Wants to lead, over a connection of its own."""
    with closing(Line(postgres_database)) as line:
        yield Standby(line, "standby:2", turns)


def lead(line: Line) -> None:
    with line.open() as connection:
        assert claim(connection, look(connection), "leader:1") == 1


def renewed(line: Line) -> bool:
    with line.open() as connection:
        return renew(connection, 1)


def await_hang_up(database: Database) -> None:
    """Wait for the server to notice that the leader has closed its connection."""
    connected = True
    while connected:
        with database.reading() as connection:
            connected = look(connection).connected


def move_expiry(database: Database, by: timedelta) -> None:
    """What the row shows after the database's clock was set by as much."""
    with database.writing() as connection:
        moved = sa.type_coerce(leadership.c.expires, sa.DateTime) + sa.literal(by, sa.Interval)
        connection.execute(sa.update(leadership).values(expires=moved))


@pytest.mark.postgres
def test_a_silent_leader_is_followed_after_its_lease_and_cannot_renew(
    line: Line, standby: Standby, turns: Turns
) -> None:
    lead(line)
    assert standby.try_to_lead() is None
    turns.now_s += LEASE_S - 0.1
    assert standby.try_to_lead() is None
    turns.now_s += 0.2
    assert standby.try_to_lead() == 2
    assert not renewed(line)


@pytest.mark.postgres
def test_a_leader_that_renewed_since_it_was_seen_is_not_followed(line: Line) -> None:
    lead(line)
    with line.open() as connection:
        seen = look(connection)
        assert renew(connection, 1)
        assert claim(connection, seen, "standby:2") is None


@pytest.mark.postgres
def test_a_leader_whose_connection_is_gone_is_followed_sooner(
    postgres_database: Database, line: Line, standby: Standby, turns: Turns
) -> None:
    lead(line)
    assert standby.try_to_lead() is None
    line.close()
    await_hang_up(postgres_database)
    turns.now_s += RECONNECT_S - 0.1
    assert standby.try_to_lead() is None
    turns.now_s += 0.2
    assert standby.try_to_lead() == 2


@pytest.mark.postgres
def test_a_leader_that_connects_again_in_time_stays(
    line: Line, standby: Standby, turns: Turns
) -> None:
    lead(line)
    for _ in range(3):
        assert standby.try_to_lead() is None
        line.close()
        turns.now_s += RECONNECT_S - 0.1
        assert renewed(line)
    turns.now_s += LEASE_S - 0.1
    assert standby.try_to_lead() is None


@pytest.mark.postgres
def test_no_clock_that_jumps_takes_leadership_from_one_who_renews(
    postgres_database: Database,
    line: Line,
    standby: Standby,
    turns: Turns,
    rounds: Rounds,
    counted: Counts,
) -> None:
    lead(line)
    with counted("the time of leadership set by a day, forth or back", postgres_database) as count:
        for jump in range(rounds(10, 100)):
            move_expiry(postgres_database, timedelta(days=1 if jump % 2 else -1))
            assert standby.try_to_lead() is None
            turns.now_s += LEASE_S - 0.1
            assert renewed(line)
            assert standby.try_to_lead() is None
            count.add(1, leadership_taken=0)


@pytest.mark.postgres
def test_a_leader_is_not_followed_for_its_silence_while_the_database_was_away(
    line: Line, standby: Standby, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead(line)
    assert standby.try_to_lead() is None
    turns.now_s += LEASE_S + 1
    with monkeypatch.context() as away:

        def refuse(*_: object) -> None:
            raise sa.exc.OperationalError("look", None, Exception("away"))

        away.setattr("tuner.leader.lease.look", refuse)
        assert standby.try_to_lead() is None
    assert standby.try_to_lead() is None
    turns.now_s += LEASE_S + 1
    assert standby.try_to_lead() == 2


@pytest.mark.postgres
def test_a_leader_stopped_within_a_transaction_does_not_keep_the_right(
    postgres_database: Database, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.store.leadership.LONGEST_IDLE_MS", 1)
    lead(line)

    def write() -> None:
        with postgres_database.writing() as connection:
            assert hold(connection, 1)
            usurp(postgres_database)  # waits for the row
            connection.execute(sa.select(1))

    with pytest.raises(StoreUnavailable):
        write()
    assert leader(postgres_database) == ("elsewhere:1", 2)


@pytest.mark.postgres
def test_a_leader_stopped_amid_a_pipeline_of_statements_does_not_keep_the_right(
    postgres_database: Database, line: Line, standby: Standby, turns: Turns
) -> None:
    lead(line)

    def write() -> None:
        with postgres_database.writing() as connection:
            assert hold(connection, 1)
            pgconn = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]
            pgconn.enter_pipeline_mode()
            pgconn.send_query_params(b"SELECT 1", None)
            pgconn.send_flush_request()  # and no more: to the server it is not idle
            pgconn.flush()
            assert standby.try_to_lead() is None
            turns.now_s += LEASE_S + 1
            assert standby.try_to_lead() == 2
            pgconn.exit_pipeline_mode()
            connection.execute(sa.select(1))

    with pytest.raises((StoreUnavailable, psycopg.OperationalError)):
        write()
    assert not renewed(line)


@pytest.mark.postgres
def test_a_leader_renews_while_a_long_transaction_of_its_own_is_under_way(
    postgres_database: Database, line: Line
) -> None:
    lead(line)
    with postgres_database.writing() as connection:
        assert hold(connection, 1)
        assert renewed(line)


@pytest.mark.postgres
def test_leadership_is_renewed_over_a_new_connection_where_one_is_cut(
    postgres_database: Database,
) -> None:
    with leading(postgres_database, patience_s=0, waiting=nobody_waits) as mine:
        before = backend(postgres_database)
        with postgres_database.writing() as connection:
            connection.execute(sa.select(sa.func.pg_terminate_backend(before, 10_000)))
        while backend(postgres_database) == before:
            mine.confirm()
        mine.confirm()


def backend(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(sa.select(leadership.c.backend)).scalar_one())


@pytest.mark.postgres
def test_a_leader_that_another_has_followed_steps_down(
    postgres_database: Database, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.leader.lease.RENEW_EVERY_S", 0.001)
    lead(line)
    with Renewal(line, 1) as renewal:
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "lease"]
        usurp(postgres_database)
        thread.join()  # it has nothing more to renew
        assert renewal.is_lost
