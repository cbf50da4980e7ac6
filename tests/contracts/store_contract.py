"""What every database must answer alike, at a cost that does not grow with what it holds."""

import json
import math
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa

from tests.factories import (
    NOON,
    StoredJob,
    insert_attempt,
    insert_events,
    insert_host,
    insert_job,
    insert_metrics,
    insert_trials,
    make_spec,
)
from tests.statements import recorded
from tuner.db import Database
from tuner.db import attempts as attempts_table
from tuner.db import jobs as jobs_table
from tuner.db import metrics as metrics_table
from tuner.db import requests as requests_table
from tuner.db import trials as trials_table
from tuner.scheduler.commands import MoveTrial, Record, RecordProgress, RecordStep
from tuner.scheduler.state import Place, QueuedTrial
from tuner.states import LIVE_JOBS, Direction, JobState, TrialState
from tuner.store import attempts, events, hosts, jobs, ledger, replay, requests, trials
from tuner.store.trials import TrialOrder

Ask = Callable[[sa.Connection], Any]


def walk(
    database: Database, job: StoredJob, order: TrialOrder, state: TrialState | None, size: int
) -> list[int]:
    """The numbers of all trials in this order, gathered page by page."""
    numbers: list[int] = []
    place = order.start
    with database.reading() as connection:
        while rows := trials.page_of_trials(
            connection, job.ulid, state=state, order=order, after=place, limit=size
        ):
            numbers += [row.number for row in rows]
            place = (rows[-1].value if order.by_value else 0.0, rows[-1].number)
    return numbers


class StoreContract:
    """Inherited once for each kind of database; `database` is a fresh, migrated one."""

    # --- jobs ---------------------------------------------------------------------------------

    def test_the_specs_of_jobs_that_are_not_finished_are_told(self, database: Database) -> None:
        made = {state: insert_job(database, state=state) for state in JobState}
        with database.reading() as connection:
            told = {row.ulid: row.spec for row in jobs.live_specs(connection)}
        assert set(told) == {made[state].ulid for state in LIVE_JOBS}
        assert all(spec["data"] == make_spec()["data"] for spec in told.values())

    def test_jobs_come_newest_first_and_page_by_page(self, database: Database) -> None:
        made = [insert_job(database) for _ in range(5)]
        with database.reading() as connection:
            first = jobs.page_of_jobs(connection, state=None, label=None, before=None, limit=2)
            rest = jobs.page_of_jobs(
                connection, state=None, label=None, before=first[-1].id, limit=9
            )
        assert [row.ulid for row in [*first, *rest]] == [job.ulid for job in reversed(made)]

    def test_jobs_can_be_asked_for_by_state(self, database: Database) -> None:
        insert_job(database)
        queued = insert_job(database, state="queued")
        with database.reading() as connection:
            rows = jobs.page_of_jobs(
                connection, state=JobState.QUEUED, label=None, before=None, limit=9
            )
        assert [row.ulid for row in rows] == [queued.ulid]

    @pytest.mark.parametrize("name", ["team", 'quo"te', "dots.and[0]", "Ünï", "back\\slash", "%"])
    def test_jobs_can_be_asked_for_by_label_whatever_its_name(
        self, database: Database, name: str
    ) -> None:
        vision = insert_job(database, labels={name: "vision", "other": "x"})
        speech = insert_job(database, labels={name: "speech"})
        insert_job(database, labels={"other": "vision"})

        def found(label: tuple[str, str | None]) -> list[str]:
            with database.reading() as connection:
                rows = jobs.page_of_jobs(connection, state=None, label=label, before=None, limit=9)
            return [row.ulid for row in rows]

        assert found((name, "vision")) == [vision.ulid]
        assert found((name, None)) == [speech.ulid, vision.ulid]
        assert found((name, "none")) == []

    def test_a_job_comes_with_the_parameters_of_its_best_trial(self, database: Database) -> None:
        job = insert_job(database)
        best = {"value": 0.9, "params": {"lr": 0.5}}
        insert_trials(database, job, [{"value": 0.8}, best, {"value": 0.7}])
        with database.reading() as connection:
            row = jobs.job_detail(connection, job.ulid)
            page = jobs.page_of_jobs(connection, state=None, label=None, before=None, limit=1)
        assert row is not None
        assert (row.best_number, row.best_value, row.best_params) == (1, 0.9, {"lr": 0.5})
        assert page[0].best_params == {"lr": 0.5}

    def test_what_is_not_there_is_none(self, database: Database) -> None:
        with database.reading() as connection:
            assert jobs.job_detail(connection, "job_x") is None
            assert jobs.job_facts(connection, "job_x") is None
            assert jobs.job_version(connection, "job_x") is None
            assert jobs.job_with_key(connection, "key") is None
            assert trials.trial(connection, "job_x", 0) is None
            assert attempts.newest_attempt(connection, 1) is None
            assert requests.request_state(connection, 1) is None
            assert events.newest_event(connection) == 0

    def test_no_two_jobs_have_one_idempotency_key(self, database: Database) -> None:
        insert_job(database, idempotency_key="key")
        with pytest.raises(sa.exc.IntegrityError):
            insert_job(database, idempotency_key="key")
        insert_job(database)
        insert_job(database)

    def test_a_job_comes_back_as_it_was_written(self, database: Database) -> None:
        labels = {"Ünï": "ö\"'\\", "empty": ""}
        job = insert_job(database, labels=labels, parallel=None, priority=-3)
        with database.reading() as connection:
            row = jobs.job_detail(connection, job.ulid)
        assert row is not None
        assert (row.labels, row.parallel, row.priority) == (labels, None, -3)
        assert row.created_at == NOON
        assert row.created_at.utcoffset() == timedelta(0)
        assert row.spec["model"] == make_spec()["model"]
        assert (row.metric, row.direction) == ("val_accuracy", "maximize")

    def test_totals_add_up_the_counters_of_all_jobs(self, database: Database) -> None:
        for states in (["completed", "failed"], ["completed", "running"]):
            insert_trials(database, insert_job(database), [{"state": s} for s in states])
        insert_job(database, state="queued", busy_seconds=2.5)
        with database.reading() as connection:
            rows = {row.state: row for row in jobs.totals(connection)}
        assert {state: row.jobs for state, row in rows.items()} == {"running": 2, "queued": 1}
        assert (rows["running"].completed, rows["running"].failed) == (2, 1)
        assert rows["queued"].busy_seconds == 2.5

    # --- trials -------------------------------------------------------------------------------

    @pytest.fixture
    def mixed(self, database: Database) -> StoredJob:
        """A job with trials in all states and with equal values."""
        other = insert_job(database)
        insert_trials(database, other, [{"value": 1.0}] * 3)
        job = insert_job(database)
        states = ["completed", "pruned", "failed", "completed", "running", "completed", "queued"]
        rows: list[dict[str, Any]] = [
            {"state": state, "value": (number % 3) / 4}
            if state in ("completed", "pruned")
            else {"state": state}
            for number, state in enumerate(states * 3)
        ]
        insert_trials(database, job, rows)
        return job

    @pytest.mark.parametrize("order", list(TrialOrder))
    def test_pages_list_every_trial_once_and_in_order(
        self, database: Database, mixed: StoredJob, order: TrialOrder
    ) -> None:
        columns = trials_table.c.number, trials_table.c.value, trials_table.c.state
        statement = sa.select(*columns).where(trials_table.c.job_id == mixed.id)
        with database.reading() as connection:
            rows = connection.execute(statement).all()
        for state, size in product((None, *TrialState), (1, 2, 5, 100)):
            wanted = [row for row in rows if state in (None, row.state)]
            if order.by_value:
                wanted = [row for row in wanted if row.value is not None]
                wanted.sort(key=lambda r: (r.value, r.number), reverse=order.descending)
            else:
                wanted.sort(key=lambda r: r.number, reverse=order.descending)
            found = walk(database, mixed, order, state, size)
            assert found == [row.number for row in wanted], (state, size)

    def test_best_are_completed_trials_and_of_equals_the_lower_number(
        self, database: Database
    ) -> None:
        job = insert_job(database)
        values = [0.5, 0.9, None, 0.5, 0.9, 0.5, 0.9, 0.1]
        rows: list[dict[str, Any]] = [
            {"state": "failed"} if value is None else {"value": value} for value in values
        ]
        rows += [{"state": "pruned", "value": value} for value in (2.0, -2.0)]
        insert_trials(database, job, rows)
        ranking = {
            Direction.MAXIMIZE: [1, 4, 6, 0, 3, 5, 7],
            Direction.MINIMIZE: [7, 0, 3, 5, 1, 4, 6],
        }
        with database.reading() as connection:
            for direction, k in product(Direction, range(1, 10)):
                found = trials.best_trials(connection, job.ulid, direction, k)
                assert [row.number for row in found] == ranking[direction][:k], (direction, k)

    def test_no_completed_trial_means_no_best_one(self, database: Database) -> None:
        job = insert_job(database)
        insert_trials(database, job, [{"state": "pruned"}])
        with database.reading() as connection:
            for direction in Direction:
                assert list(trials.best_trials(connection, job.ulid, direction, 3)) == []

    def test_a_trial_is_found_by_its_number_in_its_own_job(self, database: Database) -> None:
        job, other = insert_job(database), insert_job(database)
        insert_trials(database, job, [{}, {"value": 0.25, "params": {"lr": 1e-5}}])
        insert_trials(database, other, [{}])
        with database.reading() as connection:
            row = trials.trial(connection, job.ulid, 1)
            assert row is not None
            assert (row.value, row.params) == (0.25, {"lr": 1e-5})
            assert trials.trial(connection, other.ulid, 1) is None
            for absurd in (-1, 2**31, 2**63, 10**30):
                assert trials.trial(connection, job.ulid, absurd) is None

    def test_curves_are_ordered_by_step_and_keep_what_was_not_finite_as_null(
        self, database: Database
    ) -> None:
        (trial,) = insert_trials(database, insert_job(database), [{}])
        insert_metrics(database, trial, [{"val_loss": 0.5}, {"val_loss": None}])
        with database.reading() as connection:
            rows = trials.curves(connection, trial)
        assert [(row.step, row.measured) for row in rows] == [
            (1, {"val_loss": 0.5}),
            (2, {"val_loss": None}),
        ]

    def test_trials_ended_after_a_number_are_counted_up_to_a_limit(
        self, database: Database
    ) -> None:
        job = insert_job(database)
        states = ["completed", "completed", "failed", "pruned", "running", "completed"]
        insert_trials(database, job, [{"state": state} for state in states])
        with database.reading() as connection:
            assert trials.ended_after(connection, job.ulid, 0, limit=10) == 3
            assert trials.ended_after(connection, job.ulid, 0, limit=2) == 2
            assert trials.ended_after(connection, job.ulid, 5, limit=10) == 0

    def test_progress_of_a_trial_lasts_until_its_next_step_or_its_end(
        self, database: Database
    ) -> None:
        job = insert_job(database)
        keys = insert_trials(database, job, [{"state": "running"}] * 2)
        one, two = (QueuedTrial(id=key, number=n, params={}) for n, key in enumerate(keys))
        place = Place(step=3, done=40, total=100, metrics={"train_loss": math.inf, "lr": 0.5})

        def progress_after(*records: Record) -> list[Any]:
            with database.writing() as connection:
                ledger.write(connection, records)
            with database.asking() as asker:
                rows = [trials.trial(asker, job.ulid, number) for number in (0, 1)]
            return [row.progress if row else "no row" for row in rows]

        told = {"step": 3, "done": 40, "total": 100, "values": {"train_loss": None, "lr": 0.5}}
        told["at"] = NOON.isoformat()
        both = [RecordProgress(trial=trial.id, place=place, now=NOON) for trial in (one, two)]
        assert progress_after(*both) == [told, told]
        step = RecordStep(trial=one.id, attempt=1, step=3, metrics={}, now=NOON)
        assert progress_after(step) == [None, told]
        end = MoveTrial(trial=two, target=TrialState.QUEUED, now=NOON)
        assert progress_after(end) == [None, None]

    # --- attempts, events, requests, hosts ----------------------------------------------------

    def test_attempts_belong_to_one_trial_and_the_last_is_the_newest(
        self, database: Database
    ) -> None:
        job = insert_job(database)
        one, two = insert_trials(database, job, [{}, {}])
        first = insert_attempt(database, job, one, state="lost")
        second = insert_attempt(database, job, one, ordinal=2)
        insert_attempt(database, job, two)
        with database.reading() as connection:
            assert [row.id for row in attempts.attempts_of(connection, one)] == [first, second]
            assert attempts.newest_attempt(connection, one) == second
            assert attempts.is_attempt_of(connection, one, first)
            assert not attempts.is_attempt_of(connection, two, first)
            assert not attempts.is_attempt_of(connection, one, 10**30)

    def test_what_the_ended_attempts_of_a_live_trial_took_is_added_up(
        self, database: Database
    ) -> None:
        job = insert_job(database)
        live, done, new = insert_trials(
            database, job, [{"state": "queued"}, {}, {"state": "running"}]
        )
        for seconds, reason in ((20, "oom_gpu"), (30.5, "worker_lost"), (-5, "worker_lost")):
            finished = NOON + timedelta(seconds=seconds)
            end = {"state": "lost", "reason": reason, "finished_at": finished}
            insert_attempt(database, job, live, **end)
            insert_attempt(database, job, done, **end)
        insert_attempt(database, job, new)
        insert_attempt(database, job, None, state="succeeded", finished_at=NOON)
        with database.reading() as connection:
            past = replay.past_of_trials(connection, job.id)
        assert past == {live: replay.Past(seconds=50.5, oom_gpu=1)}

    def test_running_attempts_name_their_job_and_trial_also_a_probe(
        self, database: Database
    ) -> None:
        job = insert_job(database)
        ids = insert_trials(database, job, [{}, {}])
        insert_attempt(database, job, None)
        insert_attempt(database, job, ids[0], state="succeeded")
        insert_attempt(database, job, ids[1])
        with database.reading() as connection:
            rows = attempts.running_attempts(connection)
        assert [(row.ulid, row.number) for row in rows] == [(job.ulid, None), (job.ulid, 1)]

    def test_events_follow_the_last_one_seen_in_a_job_and_over_all(
        self, database: Database
    ) -> None:
        job, other = insert_job(database), insert_job(database)
        insert_events(database, job, ["submitted", "started"])
        insert_events(database, other, ["submitted"])
        insert_events(database, job, ["paused"])
        with database.reading() as connection:
            rows = events.events_of(connection, job.ulid, 1, 9)
            assert [(row.seq, row.kind) for row in rows] == [(2, "started"), (3, "paused")]
            assert len(events.events_of(connection, job.ulid, 0, 2)) == 2
            everything = events.events_after(connection, 0, 9)
            assert [(row.ulid, row.seq) for row in everything] == [
                (job.ulid, 1),
                (job.ulid, 2),
                (other.ulid, 1),
                (job.ulid, 3),
            ]
            newest = events.newest_event(connection)
            assert newest == everything[-1].id
            assert list(events.events_after(connection, newest, 9)) == []
            assert list(events.events_after(connection, 2**63 - 1, 9)) == []

    def test_requests_wait_in_order_until_they_are_applied(self, database: Database) -> None:
        job, other = insert_job(database), insert_job(database)
        with database.writing() as connection:
            first = requests.insert_request(connection, job.id, "pause", {}, NOON)
            second = requests.insert_request(connection, job.id, "enqueue", {"params": {}}, NOON)
            requests.insert_request(connection, other.id, "cancel", {}, NOON)
        with database.reading() as connection:
            rows = requests.waiting_requests(connection, job.id)
            assert [(row.id, row.kind) for row in rows] == [(first, "pause"), (second, "enqueue")]
            assert requests.count_waiting(connection) == 3
        apply_request(database, first, {"ok": True})
        with database.reading() as connection:
            assert [r.id for r in requests.waiting_requests(connection, job.id)] == [second]
            state = requests.request_state(connection, first)
        assert state is not None
        assert (state.applied_at, state.outcome) == (NOON, {"ok": True})

    def test_a_deleted_job_takes_everything_with_it(self, database: Database) -> None:
        job, other = insert_job(database), insert_job(database)
        for one in (job, other):
            (trial,) = insert_trials(database, one, [{}])
            insert_attempt(database, one, trial)
            insert_metrics(database, trial, [{"val_loss": 0.5}])
            insert_events(database, one, ["submitted"])
        with database.writing() as connection:
            request = requests.insert_request(connection, job.id, "delete", {}, NOON)
            connection.execute(sa.delete(jobs_table).where(jobs_table.c.id == job.id))
        with database.reading() as connection:
            assert requests.request_state(connection, request) is None
            assert [row.ulid for row in attempts.running_attempts(connection)] == [other.ulid]
            assert [row.ulid for row in events.events_after(connection, 0, 9)] == [other.ulid]
            assert trials.trial(connection, job.ulid, 0) is None
            assert trials.trial(connection, other.ulid, 0) is not None

    def test_hosts_come_with_the_one_heard_of_last_first(self, database: Database) -> None:
        insert_host(database, "old", NOON - timedelta(hours=1))
        insert_host(database, "new", NOON)
        with database.reading() as connection:
            assert [row.name for row in hosts.all_hosts(connection)] == ["new", "old"]

    # --- transactions -------------------------------------------------------------------------

    def test_a_transaction_that_raises_leaves_nothing(self, database: Database) -> None:
        job = insert_job(database)
        with suppress(KeyError), database.writing() as connection:
            requests.insert_request(connection, job.id, "pause", {}, NOON)
            raise KeyError
        with database.reading() as connection:
            assert requests.count_waiting(connection) == 0

    # --- cost ---------------------------------------------------------------------------------

    def test_answers_come_from_an_index_and_are_never_sorted(self, database: Database) -> None:
        job = filled(database, 3000)
        for name, asks in questions(job, 3000).items():
            for ask in asks:
                with recorded(database) as statements, database.reading() as connection:
                    ask(connection)
                for sql, parameters in statements:
                    assert_index_used(database, sql, parameters, sorted_ok=name == "few")


def questions(job: StoredJob, trial_count: int) -> dict[str, list[Ask]]:
    """What the API asks again and again, by name."""

    def page(order: TrialOrder, state: TrialState | None, after: tuple[float, int]) -> Ask:
        return lambda c: trials.page_of_trials(
            c, job.ulid, state=state, order=order, after=after, limit=50
        )

    def best(direction: Direction, k: int) -> Ask:
        return lambda c: trials.best_trials(c, job.ulid, direction, k)

    states = (None, TrialState.COMPLETED)
    return {
        "job": [
            lambda c: jobs.job_detail(c, job.ulid),
            lambda c: jobs.job_facts(c, job.ulid),
            lambda c: jobs.job_version(c, job.ulid),
        ],
        "best": [best(direction, k) for direction in Direction for k in (1, 20)],
        "first page": [page(order, s, order.start) for order in TrialOrder for s in states],
        "middle page": [
            page(order, s, (0.5, trial_count // 2)) for order in TrialOrder for s in states
        ],
        "trial": [
            lambda c: trials.trial(c, job.ulid, trial_count // 2),
            lambda c: trials.curves(c, 7),
            lambda c: attempts.attempts_of(c, 7),
            lambda c: attempts.newest_attempt(c, 7),
        ],
        "more": [
            lambda c: events.events_of(c, job.ulid, 10, 50),
            lambda c: events.events_after(c, 10, 50),
            lambda c: events.newest_event(c),
            lambda c: trials.ended_after(c, job.ulid, 100, 20),
        ],
        # As many as there are slots, or people who have just asked for something.
        "few": [
            lambda c: requests.waiting_requests(c, job.id),
            lambda c: requests.count_waiting(c),
            lambda c: attempts.running_attempts(c),
        ],
    }


def filled(database: Database, trial_count: int) -> StoredJob:
    """A job with many trials, a quarter of them with the best value, among other jobs' trials."""
    every = [insert_job(database) for _ in range(3)]
    for job in every:
        ids = insert_trials(database, job, [_many(number) for number in range(trial_count)])
        insert_events(database, job, ["note"] * trial_count)
        with database.writing() as connection:
            step = {"at": NOON, "attempt_id": 1, "values": {"val_loss": 0.1}}
            steps = [{**step, "trial_id": i, "step": n} for i in ids[:200] for n in range(20)]
            connection.execute(sa.insert(metrics_table), steps)
            attempt = {"job_id": job.id, "ordinal": 1, "state": "succeeded", "host": "here"}
            attempt |= {"device": "cpu", "cpus": 1.0, "started_at": NOON}
            over = [{**attempt, "trial_id": trial} for trial in ids[:500]]
            connection.execute(sa.insert(attempts_table), over)
            done = {"job_id": job.id, "kind": "pause", "payload": {}, "created_at": NOON}
            done |= {"applied_at": NOON, "outcome": {"ok": True}}
            connection.execute(sa.insert(requests_table), [done] * 500)
            requests.insert_request(connection, job.id, "pause", {}, NOON)
    with database.writing() as connection:
        connection.execute(sa.text("ANALYZE"))
    return every[1]


def _many(number: int) -> dict[str, Any]:
    match number % 8:
        case 0 | 4:
            return {"value": 0.99}
        case 1:
            return {"state": "failed"}
        case 2:
            return {"state": "pruned", "value": 0.1}
        case _:
            return {"value": number / 1e6}


def assert_index_used(database: Database, sql: str, parameters: Any, *, sorted_ok: bool) -> None:
    """The plan of a statement walks indexes only and, unless that is fine, sorts nothing."""
    if not sql.startswith("SELECT"):
        return
    explain = "EXPLAIN (FORMAT JSON) " if database.is_postgres else "EXPLAIN QUERY PLAN "
    with database.reading() as connection:
        rows = connection.exec_driver_sql(explain + sql, parameters).all()
    if database.is_postgres:
        plan = rows[0][0] if isinstance(rows[0][0], list) else json.loads(rows[0][0])
        nodes = list(_nodes(plan[0]["Plan"]))
        scans = [n for n in nodes if n["Node Type"] == "Seq Scan" and n["Relation Name"] in _LARGE]
        sorts = [n for n in nodes if "Sort" in n["Node Type"]]
        assert not scans, (sql, plan)
        assert sorted_ok or not sorts, (sql, plan)
        return
    steps = [row.detail for row in rows]
    if sorted_ok:
        steps = [step for step in steps if "TEMP B-TREE" not in step]
    assert not [s for s in steps if "TEMP B-TREE" in s or re.match(_FULL_SCAN, s)], (sql, steps)


_LARGE = ("trials", "events", "metrics", "attempts", "requests")
_FULL_SCAN = re.compile(rf"SCAN ({'|'.join(_LARGE)})$")


def _nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)


def apply_request(database: Database, request: int, outcome: dict[str, Any]) -> None:
    """Answer a request as the scheduler does."""
    with database.writing() as connection:
        connection.execute(
            sa.update(requests_table)
            .where(requests_table.c.id == request)
            .values(applied_at=NOON, outcome=outcome)
        )
