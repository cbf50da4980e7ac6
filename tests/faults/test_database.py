"""The database restarts, is cut off, or is locked: nothing is lost, nothing happens twice."""

import logging
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from random import Random

import pytest
import sqlalchemy as sa

from tests.cutting import CuttingProxy, Fate
from tests.factories import StoredJob
from tests.faults.counting import Counts
from tests.invariants import assert_invariants
from tests.locks import locked
from tests.postgres import PostgresServer
from tests.servers import PATIENCE_S, running
from tests.stand import Stand
from tuner.client import Client
from tuner.db import Database, attempts, metrics, trials
from tuner.executors.inline import InlineExecutor
from tuner.leader import lead
from tuner.settings import Settings
from tuner.states import JobState

Rounds = Callable[[int, int], int]


def start_again(server: PostgresServer, watched: Database) -> None:
    server.start()
    watched.engine.dispose()


def assert_done_once(stand: Stand, job: StoredJob, *, epochs: int) -> None:
    """The budget was used, each trial was carried out by one attempt, and each step is there."""
    row = stand.job(job)
    assert row["state"] == "succeeded"
    assert row["completed"] == row["created"] == row["budget"]["trials"]
    carried_out = stand.attempts(job)
    assert {attempt["state"] for attempt in carried_out} == {"succeeded"}
    assert len(carried_out) == 1 + row["completed"]  # the probe
    kinds = [event["kind"] for event in stand.events(job)]
    for kind in ("trial_queued", "trial_started", "trial_completed"):
        assert kinds.count(kind) == row["completed"]
    with stand.database.reading() as connection:
        steps = sa.select(sa.func.count()).select_from(metrics.join(trials))
        found = connection.scalar(steps.where(trials.c.job_id == job.id))
    assert found == row["completed"] * epochs
    assert_invariants(stand.database)


@pytest.fixture
def looked_for(caplog: pytest.LogCaptureFixture) -> Callable[[], Counter[bool]]:
    """How many ticks the scheduler has looked for, by whether they stood."""
    caplog.set_level(logging.INFO, "tuner.leader.recording")
    return lambda: Counter(one.stands for one in caplog.records if hasattr(one, "stands"))


@pytest.mark.postgres
def test_ticks_whose_commit_is_cut_off_are_recorded_once(
    mortal: PostgresServer,
    name: str,
    watched: Database,
    settings: Settings,
    rounds: Rounds,
    looked_for: Callable[[], Counter[bool]],
    counted: Counts,
) -> None:
    drawn = Random(7)

    def fate() -> Fate:
        return drawn.choices(("answered", "lost", "unanswered"), (2, 1, 1))[0]

    with (
        counted("commits cut off, carried out or not", watched) as count,
        CuttingProxy(mortal, fate) as proxy,
        closing(Database(proxy.url(name))) as through,
        Stand(watched, settings, InlineExecutor(), through=through) as stand,
    ):
        # A cut may meet a transaction that only reads.
        while min(looked_for()[True], looked_for()[False]) < rounds(1, 50):
            job = stand.submit(budget={"trials": 4, "epochs": 2}, search={"pruner": "none"})
            stand.finish(job)
            assert_done_once(stand, job, epochs=2)
            count.add(trials_done_once=4)
        ticks = looked_for()
        count.add(ticks.total(), had_been_recorded=ticks[True], recorded_again=ticks[False])


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_commit_that_fails_either_way_is_recorded_once(
    database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    carried_out: bool,
    looked_for: Callable[[], Counter[bool]],
) -> None:
    url, drawn = database.url.render_as_string(hide_password=False), Random(7)
    with closing(Database(url)) as through:
        dialect = through.engine.dialect
        commit = dialect.do_commit

        def fail_at_times(connection: sa.PoolProxiedConnection) -> None:
            fails = drawn.random() < 0.4
            if carried_out or not fails:
                commit(connection)
            if fails:
                raise dialect.loaded_dbapi.OperationalError("cut off")

        with Stand(database, settings, InlineExecutor(), through=through) as stand:
            monkeypatch.setattr(dialect, "do_commit", fail_at_times)
            while not looked_for()[carried_out]:
                job = stand.submit(budget={"trials": 4, "epochs": 2}, search={"pruner": "none"})
                stand.finish(job)
                assert_done_once(stand, job, epochs=2)


@pytest.mark.postgres
def test_restarts_of_the_database_cost_no_trial(
    mortal: PostgresServer,
    watched: Database,
    served: Database,
    settings: Settings,
    rounds: Rounds,
    caplog: pytest.LogCaptureFixture,
    counted: Counts,
) -> None:
    restarts, budget = rounds(2, 20), rounds(8, 200)
    with (
        counted("the database restarted: every other time without a shutdown", watched) as count,
        Stand(watched, settings, InlineExecutor(), through=served) as stand,
    ):
        job = stand.submit(budget={"trials": budget, "epochs": 3}, search={"pruner": "none"})
        for turn in range(restarts):
            wanted = 1 + turn * budget // restarts
            stand.until(lambda wanted=wanted: stand.job(job)["completed"] >= wanted)
            # As `pg_ctl -m fast` and `-m immediate` do.
            mortal.stop(signal.SIGQUIT if turn % 2 else signal.SIGINT)
            caplog.clear()
            stand.until(lambda: {"tick was not recorded"} & set(caplog.messages))
            start_again(mortal, watched)
            count.add(1)
        stand.finish(job)
        assert_done_once(stand, job, epochs=3)
        count.add(trials_done_once=budget)


@pytest.mark.postgres
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_trials_train_on_while_the_database_is_away(
    mortal: PostgresServer,
    watched: Database,
    served: Database,
    settings: Settings,
    how: signal.Signals,
) -> None:
    with Stand(watched, settings, InlineExecutor(), program="wait", through=served) as stand:
        job = stand.submit(budget={"trials": 1, "epochs": 9}, parallel=1)
        stand.until(lambda: steps_heard(stand) >= 1)
        mortal.stop(how)
        before = steps_heard(stand)
        stand.until(lambda: steps_heard(stand) >= before + 20)
        start_again(mortal, watched)
        assert_all_steps_come(stand, job, before + 20)


def steps_heard(stand: Stand) -> int:
    """How far the only trial is, as the scheduler heard."""
    trials = [attempt.trial for attempt in stand.loop.state.attempts.values()]
    return max((trial.reported for trial in trials if trial is not None), default=0)


def assert_all_steps_come(stand: Stand, job: StoredJob, steps: int) -> None:
    """What was heard while the database was away is recorded in the end, without a gap."""
    stand.until(lambda: (stand.trials(job)[0]["last_step"] or 0) >= steps)
    stand.request(job, "cancel")
    assert stand.finish(job)["state"] == "cancelled"
    with stand.database.reading() as connection:
        found = list(connection.scalars(sa.select(metrics.c.step).order_by(metrics.c.step)))
    assert found == list(range(1, len(found) + 1))
    assert len([a for a in stand.attempts(job) if a["trial_id"] is not None]) == 1
    assert_invariants(stand.database)


def test_trials_train_on_while_somebody_else_has_locked_the_file(
    sqlite_database: Database, settings: Settings, rounds: Rounds, counted: Counts
) -> None:
    url = sqlite_database.url.render_as_string()
    with (
        counted("the file locked by somebody else for 10 s", sqlite_database) as count,
        closing(Database(url, patience_s=lead.PATIENCE_S)) as served,
        Stand(sqlite_database, settings, InlineExecutor(), program="wait", through=served) as stand,
    ):
        job = stand.submit(budget={"trials": 1, "epochs": 9}, parallel=1)
        stand.until(lambda: steps_heard(stand) >= 1)
        with locked(sqlite_database):
            before, until = steps_heard(stand), time.monotonic() + rounds(0, 10)
            stand.until(lambda: steps_heard(stand) >= before + 5 and time.monotonic() >= until)
            count.add(1, epochs_meanwhile=steps_heard(stand) - before)
        assert_all_steps_come(stand, job, before + 5)


SPEC = {
    "model": "mlp",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "sgd",
    "search": {"pruner": "none"},
    # At the highest rates of the default range a training may diverge, and its trial fail.
    "space": {"lr": 0.05},
}


@pytest.mark.postgres
@pytest.mark.usefixtures("home")
def test_no_process_of_a_server_ends_when_its_database_restarts(
    mortal: PostgresServer,
    name: str,
    watched: Database,
    monkeypatch: pytest.MonkeyPatch,
    rounds: Rounds,
    counted: Counts,
) -> None:
    restarts, budget = rounds(2, 20), rounds(4, 200)
    monkeypatch.setenv("TUNER_DATABASE_URL", mortal.url(name))
    with (
        counted("the database of `tuner serve` restarted", watched) as count,
        running() as server,
        Client(server.url) as tuner,
    ):
        processes = [server.part(part).pid for part in ("api", "scheduler")]
        job = tuner.submit({**SPEC, "budget": {"trials": budget, "epochs": 3}})
        completed = (event for event in tuner.events(job) if event.kind == "trial_completed")
        for turn in range(restarts):
            next(completed)
            mortal.stop(signal.SIGQUIT if turn % 2 else signal.SIGINT)
            mortal.start()
            count.add(1)
        view = job.wait(PATIENCE_S * rounds(1, 9)).view
        assert (view.state, view.counts.completed) == (JobState.SUCCEEDED, budget)
        assert [server.part(part).pid for part in ("api", "scheduler")] == processes
        count.add(trials=budget, completed=view.counts.completed, processes_that_ended=0)
        assert server.end(signal.SIGTERM) == 0
    watched.engine.dispose()
    with watched.reading() as connection:
        ended = connection.execute(sa.select(attempts.c.state)).scalars()
        assert list(ended) == ["succeeded"] * (1 + budget)
    assert_invariants(watched)
