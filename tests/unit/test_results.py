"""What came out of a job: the best, pages, curves, files, and the figures over all."""

import csv
import io
import json
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState

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
    waiting_requests,
)
from tuner.artifacts.folder import FolderStore
from tuner.artifacts.opening import open_store
from tuner.artifacts.store import ArtifactsUnavailable
from tuner.db import Database
from tuner.errors import (
    ArtifactNotFound,
    NoCompletedTrial,
    SpecInvalid,
    TrialNotFound,
)
from tuner.service import Service
from tuner.service.pages import token_of
from tuner.settings import Settings
from tuner.states import Direction, JobState, TrialState
from tuner.views import TrialView

#: What the scheduler records of a trial in the middle of its second epoch.
HALFWAY: dict[str, Any] = {
    "step": 2,
    "done": 50,
    "total": 100,
    "values": {"train_loss": 0.5},
    "at": NOON.isoformat(),
}


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    return sqlite_database


@pytest.fixture
def service(database: Database, settings: Settings) -> Service:
    return Service(database, settings, clock=lambda: NOON + timedelta(seconds=60))


@pytest.fixture
def job(database: Database) -> StoredJob:
    return insert_job(database)


# --- the best ----------------------------------------------------------------------------------


def test_the_best_trials_come_with_what_they_are_judged_by(
    service: Service, database: Database, job: StoredJob
) -> None:
    insert_trials(database, job, [{"value": value} for value in (0.5, 0.9, 0.7)])
    best = service.best(job.ulid, k=2)
    assert (best.metric, best.direction) == ("val_accuracy", Direction.MAXIMIZE)
    assert [(trial.number, trial.value) for trial in best.best] == [(1, 0.9), (2, 0.7)]
    assert best.model_url is None
    shown = service.job(job.ulid).best
    assert shown is not None
    assert (shown.number, shown.value) == (1, 0.9)


def test_where_less_is_better_the_least_is_best(service: Service, database: Database) -> None:
    job = insert_job(database, spec=make_spec(metric="val_loss"))
    insert_trials(database, job, [{"value": value} for value in (0.5, 0.9, 0.1)])
    assert [trial.number for trial in service.best(job.ulid, k=5).best] == [2, 0, 1]


def test_without_a_completed_trial_there_is_no_best(
    service: Service, database: Database, job: StoredJob
) -> None:
    insert_trials(database, job, [{"state": "pruned"}, {"state": "failed"}])
    for question in (service.best, service.best_model, service.importances):
        with pytest.raises(NoCompletedTrial) as none:
            question(job.ulid)
        assert (none.value.job, none.value.state) == (job.ulid, "running")


def test_the_best_model_is_the_file_of_the_best_trial(
    service: Service, database: Database, job: StoredJob, settings: Settings
) -> None:
    uris = [f"jobs/{job.ulid}/trials/{number}/best.safetensors" for number in range(2)]
    for uri in uris:
        file = settings.artifacts / uri
        file.parent.mkdir(parents=True)
        file.write_text(uri)
    values = (0.9, 0.5)
    rows = [{"value": v, "model_uri": uri} for v, uri in zip(values, uris, strict=True)]
    insert_trials(database, job, rows)
    assert service.best_model(job.ulid).read_text() == uris[0]
    assert service.best(job.ulid).model_url == f"/v1/jobs/{job.ulid}/best/model"
    assert service.trial(job.ulid, 0).has_model


def test_a_best_model_far_away_is_copied_into_the_cache(
    database: Database, job: StoredJob, settings: Settings
) -> None:
    far = settings.model_copy(update={"artifact_store": "memory://far"})
    uri = f"jobs/{job.ulid}/trials/0/model.safetensors"
    open_store(far.artifact_root).put(uri, b"weights")
    insert_trials(database, job, [{"model_uri": uri}])
    service = Service(database, far)
    file = service.best_model(job.ulid)
    assert (file.parent, file.suffix) == (settings.cache, ".safetensors")
    assert file.read_bytes() == b"weights"
    assert service.job(job.ulid).disk_bytes == len(b"weights")


def test_a_store_that_does_not_answer_hides_no_job(
    service: Service, job: StoredJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(store: FolderStore, folder: str) -> None:
        raise ArtifactsUnavailable("s3://far", "no route to host")

    monkeypatch.setattr(FolderStore, "files", fail)
    assert service.job(job.ulid).disk_bytes is None


@pytest.mark.parametrize("uri", [None, "jobs/gone/best.safetensors", "../../etc/passwd"])
def test_a_best_model_that_is_not_kept_is_not_found(
    service: Service, database: Database, job: StoredJob, uri: str | None
) -> None:
    insert_trials(database, job, [{"model_uri": uri}])
    with pytest.raises(ArtifactNotFound, match=f"no model of trial 0 of job {job.ulid}"):
        service.best_model(job.ulid)


# --- pages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["number", "-number", "value", "-value"])
@pytest.mark.parametrize("state", [None, TrialState.COMPLETED])
def test_pages_of_trials_join_into_the_whole_list(
    service: Service, database: Database, job: StoredJob, sort: str, state: TrialState | None
) -> None:
    values = [0.5, 0.25, 0.5, None, 0.75, 0.5, 1.0]
    rows: list[dict[str, Any]] = [
        {"state": "failed"} if value is None else {"value": value} for value in values
    ]
    insert_trials(database, job, rows)
    whole = service.trials(job.ulid, state=state, sort=sort)
    assert whole.next_page_token is None
    pages: list[list[TrialView]] = []
    token = None
    while not pages or token:
        page = service.trials(job.ulid, state=state, sort=sort, page_size=2, page_token=token)
        pages.append(page.trials)
        token = page.next_page_token
    assert [len(page) for page in pages[:-1]] == [2] * (len(pages) - 1)
    assert [trial for page in pages for trial in page] == whole.trials
    assert len(whole.trials) == (6 if state or "value" in sort else 7)


def test_the_last_page_has_no_token_even_if_it_is_full(
    service: Service, database: Database, job: StoredJob
) -> None:
    insert_trials(database, job, [{}] * 4)
    first = service.trials(job.ulid, page_size=2)
    assert first.next_page_token is not None
    last = service.trials(job.ulid, page_size=2, page_token=first.next_page_token)
    assert last.next_page_token is None


def test_trials_that_appear_between_two_pages_move_no_other(
    service: Service, database: Database, job: StoredJob
) -> None:
    insert_trials(database, job, [{"value": value} for value in (0.1, 0.3, 0.5, 0.7)])
    first = service.trials(job.ulid, sort="-value", page_size=2)
    insert_trials(database, job, [{"value": 0.9}, {"value": 0.2}])
    rest = service.trials(job.ulid, sort="-value", page_token=first.next_page_token)
    assert [trial.value for trial in first.trials + rest.trials] == [0.7, 0.5, 0.3, 0.2, 0.1]


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "ö",
        "!!!!",
        "bnVsbA",
        "W10",
        "e30",
        "A" * 5000,
        token_of(i=1),
        token_of(o="number", s="", v=0.0, n="1"),
        token_of(o="number", s="", v=0.0, n=True),
        token_of(o="number", s="", v=0.0, n=10**12),
        token_of(o="number", s="", v=0.0, n=-5),
        token_of(o="number", s="", v=float("nan"), n=1),
        token_of(o="number", s="completed", v=0.0, n=1),
        token_of(o="value", s="", v=0.5, n=1),
        token_of(o="number", s="", v=0.0, n=1, x=1),
    ],
)
def test_a_token_of_another_list_or_of_none_is_refused(
    service: Service, job: StoredJob, token: str
) -> None:
    with pytest.raises(SpecInvalid) as refused:
        service.trials(job.ulid, page_token=token)
    assert [fault.pointer for fault in refused.value.faults] == ["page_token"]
    if token != token_of(i=1):
        with pytest.raises(SpecInvalid):
            service.jobs(page_token=token)


@pytest.mark.parametrize("size", [0, -1, 501, 10**30])
def test_a_page_size_beyond_the_limits_is_refused(
    service: Service, job: StoredJob, size: int
) -> None:
    for page in (
        lambda: service.trials(job.ulid, page_size=size),
        lambda: service.jobs(page_size=size),
    ):
        with pytest.raises(SpecInvalid, match="must be from 1 to 500"):
            page()


def test_an_unknown_order_is_refused_with_those_there_are(service: Service, job: StoredJob) -> None:
    with pytest.raises(SpecInvalid, match="one of number, -number, value, -value"):
        service.trials(job.ulid, sort="lr")


def test_pages_of_jobs_join_into_the_whole_list(service: Service, database: Database) -> None:
    made = [insert_job(database, labels={"parity": str(n % 2)}).ulid for n in range(5)]
    first = service.jobs(page_size=3)
    rest = service.jobs(page_size=3, page_token=first.next_page_token)
    assert [job.id for job in first.jobs + rest.jobs] == made[::-1]
    assert rest.next_page_token is None
    assert [job.id for job in service.jobs(label="parity=1").jobs] == [made[3], made[1]]
    assert len(service.jobs(label="parity").jobs) == 5
    assert service.jobs(state=JobState.FAILED).jobs == []


# --- one trial ---------------------------------------------------------------------------------


def test_a_trials_seconds_count_until_its_end_or_until_now(
    service: Service, database: Database, job: StoredJob
) -> None:
    insert_trials(database, job, [{}, {"state": "running"}, {"state": "queued"}])
    assert [trial.seconds for trial in service.trials(job.ulid).trials] == [10.0, 60.0, None]


def test_a_trial_that_does_not_exist_is_not_found(service: Service, job: StoredJob) -> None:
    for number in (0, -1, 2**31, 10**30):
        for question in (service.trial, service.attempts, service.curves, service.log_path):
            with pytest.raises(TrialNotFound) as missing:
                question(job.ulid, number)
            assert (missing.value.job, missing.value.number) == (job.ulid, number)


def test_attempts_and_curves_of_a_trial(
    service: Service, database: Database, job: StoredJob
) -> None:
    (trial,) = insert_trials(database, job, [{}])
    failure = {"state": "failed", "reason": "crashed", "exit_code": -9, "finished_at": NOON}
    insert_attempt(database, job, trial, **failure)
    insert_attempt(database, job, trial, ordinal=2, device="cuda:0")
    insert_metrics(database, trial, [{"val_loss": 0.5}, {"val_loss": None}])
    first, second = service.attempts(job.ulid, 0).attempts
    assert (first.ordinal, first.state, first.reason, first.exit_code) == (
        1,
        "failed",
        "crashed",
        -9,
    )
    assert (second.ordinal, second.device, second.finished_at) == (2, "cuda:0", None)
    curves = service.curves(job.ulid, 0)
    assert [(point.step, point.values) for point in curves.points] == [
        (1, {"val_loss": 0.5}),
        (2, {"val_loss": None}),
    ]


def test_the_log_is_that_of_the_newest_attempt_unless_another_is_named(
    service: Service, database: Database, job: StoredJob, settings: Settings
) -> None:
    one, two = insert_trials(database, job, [{}, {}])
    with pytest.raises(ArtifactNotFound, match=f"trial 0 of job {job.ulid} has no attempt"):
        service.log_path(job.ulid, 0)
    old = insert_attempt(database, job, one, state="lost")
    new = insert_attempt(database, job, one, ordinal=2)
    other = insert_attempt(database, job, two)
    logs = settings.artifacts / "logs"
    assert service.log_path(job.ulid, 0) == logs / f"{new}.log"
    assert service.log_path(job.ulid, 0, old) == logs / f"{old}.log"
    for foreign in (other, -1, 10**30):
        with pytest.raises(ArtifactNotFound, match="has no attempt"):
            service.log_path(job.ulid, 0, foreign)


# --- progress ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "fraction", "eta"),
    [
        # 4 of 10 ended after 5 s each; 6 are left, 2 at a time.
        ({"completed": 2, "pruned": 1, "failed": 1, "running": 2, "busy_seconds": 20.0}, 0.4, 15.0),
        # Nothing runs just now: one at a time is sure.
        ({"completed": 2, "busy_seconds": 20.0}, 0.2, 80.0),
        # Cancelled trials are done, but say nothing of how long one takes.
        ({"completed": 1, "cancelled": 4, "running": 1, "busy_seconds": 8.0}, 0.5, 40.0),
        # Nothing has ended yet.
        ({"running": 3}, 0.0, None),
        # Nothing is left.
        ({"completed": 10, "busy_seconds": 20.0}, 1.0, None),
        # 60 s have passed since `running_since`, of 100.
        ({"completed": 1, "running": 1, "busy_seconds": 60.0, "hours": 100 / 3600}, 0.6, 40.0),
        ({"state": "paused", "completed": 5, "busy_seconds": 20.0}, 0.5, None),
        ({"state": "succeeded", "completed": 5, "busy_seconds": 20.0}, 1.0, None),
        ({"state": "failed", "failed": 5}, 0.5, None),
        ({"completed": 1, "busy_seconds": 1.0, "target": 0.9, "best_value": 0.9}, 1.0, 9.0),
        ({"completed": 1, "busy_seconds": 1.0, "target": 0.9, "best_value": 0.8}, 0.1, 9.0),
    ],
)
def test_progress_is_the_used_share_of_the_budget_and_what_the_rest_will_take(
    service: Service,
    database: Database,
    columns: dict[str, Any],
    fraction: float,
    eta: float | None,
) -> None:
    budget = {"trials": 10, "epochs": 1, "hours": None, "target": None, "patience": None}
    budget |= {key: columns[key] for key in ("hours", "target") if key in columns}
    row = {key: value for key, value in columns.items() if key not in ("hours", "target")}
    job = insert_job(database, budget=budget, running_since=NOON, **row)
    progress = service.job(job.ulid).progress
    assert progress.fraction == pytest.approx(fraction)
    assert progress.eta_seconds == (None if eta is None else pytest.approx(eta))
    assert progress.elapsed_seconds == 60.0


@pytest.mark.parametrize(
    ("ended", "fraction", "eta"),
    [
        # 0.85 of a trial is done after 60 s, of 10.
        ([], 0.085, 9.15 * 60 / 0.85),
        # One has ended after 30 s; 8.15 are left, 3 at a time.
        ([{}], 0.185, 8.15 * 30 / 3),
    ],
)
def test_trials_under_way_count_by_their_epochs_and_the_parts_of_epochs(
    service: Service,
    database: Database,
    ended: list[dict[str, Any]],
    fraction: float,
    eta: float,
) -> None:
    budget = {"trials": 10, "epochs": 4, "hours": None, "target": None, "patience": None}
    job = insert_job(database, budget=budget, running_since=NOON, busy_seconds=30.0)
    under_way = [{}, {"last_step": 2}, {"last_step": 1, "progress": HALFWAY | {"done": 40}}]
    insert_trials(database, job, [*ended, *({"state": "running"} | row for row in under_way)])
    progress = service.job(job.ulid).progress
    assert progress.fraction == pytest.approx(fraction)
    assert progress.eta_seconds == pytest.approx(eta)
    assert service.jobs().jobs[0].progress.fraction == pytest.approx(fraction)


def test_a_running_trial_and_its_attempt_say_how_far_they_are(
    service: Service, database: Database, job: StoredJob
) -> None:
    running = {"state": "running", "last_step": 1, "progress": HALFWAY}
    (trial, _) = insert_trials(database, job, [running, {}])
    insert_attempt(database, job, trial, state="lost")
    insert_attempt(database, job, trial, ordinal=2)
    progress = service.trial(job.ulid, 0).progress
    assert progress is not None
    assert (progress.step, progress.done, progress.total) == (2, 50, 100)
    assert (progress.values, progress.at) == ({"train_loss": 0.5}, NOON)
    assert [t.progress for t in service.trials(job.ulid).trials] == [progress, None]
    assert [a.progress for a in service.attempts(job.ulid, 0).attempts] == [None, progress]


def test_time_in_which_the_job_did_not_run_does_not_count(
    service: Service, database: Database
) -> None:
    paused = insert_job(database, state="paused", run_seconds=7.5)
    again = insert_job(database, run_seconds=7.5, running_since=NOON)
    assert service.job(paused.ulid).progress.elapsed_seconds == 7.5
    assert service.job(again.ulid).progress.elapsed_seconds == 67.5


# --- exports -----------------------------------------------------------------------------------


@pytest.fixture
def varied(database: Database) -> StoredJob:
    """A job with 40 trials in which the learning rate is all that matters."""
    spec = make_spec(space={"depth": {"int": [1, 4]}, "dropout": 0.1})
    job = insert_job(database, spec=spec)
    rows: list[dict[str, Any]] = []
    for number in range(40):
        lr = 1e-4 * 1.15**number
        params = {"lr": lr, "depth": 1 + number * 7 % 4, "activation": "relu", "dropout": 0.1}
        rows.append({"params": params, "value": -lr})
    rows += [{"state": "failed", "detail": 'line\n"quoted", and more'}, {"state": "running"}]
    insert_trials(database, job, rows)
    return job


def test_csv_holds_every_trial_with_its_parameters(service: Service, varied: StoredJob) -> None:
    rows = list(
        csv.DictReader(io.StringIO(service.export(varied.ulid, "csv").decode(), newline=""))
    )
    assert [int(row["number"]) for row in rows] == list(range(42))
    shown = service.trial(varied.ulid, 3)
    assert float(rows[3]["value"]) == shown.value
    assert float(rows[3]["params_lr"]) == shown.params["lr"]
    assert rows[3]["created_at"] == "2026-06-01T12:00:00+00:00"
    assert rows[40]["detail"] == 'line\n"quoted", and more'
    assert (rows[40]["value"], rows[40]["params_depth"]) == ("", "")


def test_parquet_has_a_typed_column_for_each_parameter(service: Service, varied: StoredJob) -> None:
    table = pq.read_table(io.BytesIO(service.export(varied.ulid, "parquet")))
    assert table.num_rows == 42
    types = {field.name: field.type for field in table.schema}
    assert types["params_lr"] == pa.float64()
    assert types["params_depth"] == pa.int64()
    assert types["params_activation"] == pa.string()
    assert types["params_dropout"] == pa.float64()
    assert types["started_at"] == pa.timestamp("us", tz="UTC")
    row = table.slice(3, 1).to_pylist()[0]
    assert row["params_lr"] == service.trial(varied.ulid, 3).params["lr"]
    assert row["started_at"] == NOON


def test_the_journal_opens_in_optuna_with_all_finished_trials(
    service: Service, varied: StoredJob, tmp_path: Path
) -> None:
    file = tmp_path / "optuna.journal"
    file.write_bytes(service.export(varied.ulid, "optuna"))
    storage = JournalStorage(JournalFileBackend(str(file)))
    study = storage.get_study_id_from_name(varied.ulid)
    assert storage.get_study_directions(study) == [StudyDirection.MAXIMIZE]
    trials = storage.get_all_trials(study)
    assert [trial.state for trial in trials] == [OptunaState.COMPLETE] * 40 + [OptunaState.FAIL]
    assert storage.get_best_trial(study).number == 0
    assert trials[3].params["lr"] == service.trial(varied.ulid, 3).params["lr"]


def test_an_empty_job_can_be_exported(service: Service, job: StoredJob) -> None:
    assert service.export(job.ulid, "csv").count(b"\n") == 1
    assert pq.read_table(io.BytesIO(service.export(job.ulid, "parquet"))).num_rows == 0
    first, *rest = service.export(job.ulid, "optuna").splitlines()
    assert json.loads(first)["study_name"] == job.ulid
    assert rest == []


def test_an_unknown_format_is_refused(service: Service, job: StoredJob) -> None:
    with pytest.raises(SpecInvalid, match="csv, parquet or optuna"):
        service.export(job.ulid, "xlsx")


def test_importances_find_the_parameter_that_matters(service: Service, varied: StoredJob) -> None:
    found = service.importances(varied.ulid)
    assert found.trials == 40
    assert max(found.importances, key=found.importances.__getitem__) == "lr"
    assert sum(found.importances.values()) == pytest.approx(1)


def test_equal_values_tell_nothing_of_importance(
    service: Service, database: Database, job: StoredJob
) -> None:
    insert_trials(database, job, [{"params": {"lr": lr}} for lr in (0.1, 0.01, 0.001)])
    assert service.importances(job.ulid).importances == {}


# --- events, hosts, figures --------------------------------------------------------------------


def test_events_are_read_on_from_where_one_stopped(
    service: Service, database: Database, job: StoredJob
) -> None:
    assert service.newest_event() == 0
    insert_events(database, job, ["submitted", "started", "paused"])
    assert [event.kind for event in service.events(job.ulid, after=1)] == ["started", "paused"]
    assert [event.seq for event in service.events(job.ulid, limit=2)] == [1, 2]
    followed = service.events_after(0)
    assert [(name, event.seq) for _, name, event in followed] == [(job.ulid, n) for n in (1, 2, 3)]
    assert all(one < other for (one, *_), (other, *_) in pairwise(followed))
    assert service.newest_event() == followed[-1][0]


def test_the_version_is_that_of_the_row(service: Service, database: Database) -> None:
    assert service.job_version(insert_job(database, version=17).ulid) == 17


def test_hosts_show_what_is_held_and_who_is_silent(
    service: Service, database: Database, job: StoredJob
) -> None:
    insert_host(database, "here", NOON + timedelta(seconds=50))
    insert_host(database, "gone", NOON - timedelta(hours=1))
    (trial,) = insert_trials(database, job, [{"state": "running"}])
    insert_attempt(database, job, trial, cpus=1.5)
    insert_attempt(database, job, None, device="cuda:0", gpu_share=0.25, cpus=0.5)
    here, gone = service.hosts().hosts
    assert (here.name, here.alive, gone.name, gone.alive) == ("here", True, "gone", False)
    cpu, gpu = here.devices
    assert (cpu.free, cpu.utilisation) == (2.0, 0.5)
    assert (gpu.free, gpu.utilisation, gpu.model) == (0.75, 0.25, "H100")
    assert [(w.job, w.trial, w.device) for w in here.workers] == [
        (job.ulid, 0, "cpu"),
        (job.ulid, None, "cuda:0"),
    ]
    assert gone.workers == []
    assert [device.utilisation for device in gone.devices] == [0.0, 0.0]


def test_figures_add_up_over_all_jobs(service: Service, database: Database) -> None:
    insert_host(database, "here", NOON + timedelta(seconds=50))
    one = insert_job(database, busy_seconds=2.5)
    ids = insert_trials(database, one, [{}, {"state": "running"}, {"state": "failed"}])
    insert_attempt(database, one, ids[1])
    insert_trials(database, insert_job(database, state="failed", busy_seconds=0.5), [{}])
    figures = service.statistics()
    assert figures.jobs == {**dict.fromkeys(JobState, 0), JobState.RUNNING: 1, JobState.FAILED: 1}
    assert figures.trials == {
        **dict.fromkeys(TrialState, 0),
        TrialState.COMPLETED: 2,
        TrialState.RUNNING: 1,
        TrialState.FAILED: 1,
    }
    assert (figures.running_attempts, figures.hosts_alive) == (1, 1)
    assert (figures.waiting_requests, figures.busy_seconds) == (0, 3.0)
    assert waiting_requests(database, one) == []


def test_an_empty_database_has_figures_too(service: Service) -> None:
    figures = service.statistics()
    assert set(figures.jobs.values()) == set(figures.trials.values()) == {0}
    assert (figures.busy_seconds, service.hosts().hosts, service.jobs().jobs) == (0, [], [])
