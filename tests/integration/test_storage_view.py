"""Optuna's eyes on our tables: the study it sees is the job we stored."""

import math
from datetime import datetime
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState

from tests.filled import SPACE, START, add_job, add_reports, add_trial
from tuner.db import Database, jobs, trials
from tuner.errors import SchemaMismatch
from tuner.storage_view import StorageView, StudyIsReadOnly, open_view

JOB = "job_01J0000000000000000000DIGITS"


def load(database: Database, name: str = JOB, **options: Any) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=StorageView(database, **options))


def test_a_job_is_loaded_as_a_study_by_its_id(database: Database) -> None:
    add_trial(database, add_job(database), 0, value=0.9, reports={1: 0.5, 2: 0.9})
    study = load(database)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.metric_names == ["val_accuracy"]
    assert study.user_attrs == {
        "job": JOB,
        "name": "digits",
        "state": "running",
        "model": "convnet",
        "metric": "val_accuracy",
    }
    assert study.best_params == {"lr": 0.01, "depth": 2, "optimizer": "adamw"}
    assert study.best_trial.intermediate_values == {1: 0.5, 2: 0.9}


def test_a_study_is_also_found_by_the_name_the_dashboard_shows(database: Database) -> None:
    job = add_job(database, name="digits (again)")
    add_trial(database, job, 0, value=0.9)
    name = StorageView(database).get_study_name_from_id(job)
    assert name == f"digits (again) ({JOB})"
    assert load(database, name).best_value == 0.9


def test_a_study_that_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(KeyError, match="job_none"):
        load(database, "job_none")
    view = StorageView(database)
    with pytest.raises(KeyError):
        view.get_all_trials(99)
    with pytest.raises(KeyError):
        view.get_trial(99)
    with pytest.raises(KeyError):
        view.get_study_directions(99)


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        ("queued", TrialState.WAITING),
        ("running", TrialState.RUNNING),
        ("paused", TrialState.RUNNING),
        ("completed", TrialState.COMPLETE),
        ("pruned", TrialState.PRUNED),
        ("failed", TrialState.FAIL),
        ("cancelled", TrialState.FAIL),
    ],
)
def test_every_state_has_its_counterpart(
    sqlite_database: Database, state: str, seen: TrialState
) -> None:
    job = add_job(sqlite_database)
    value = 0.7 if state == "completed" else None
    add_trial(sqlite_database, job, 0, state, value=value, reports={1: 0.6})
    (trial,) = load(sqlite_database).trials
    trial._validate()
    assert trial.state == seen
    assert trial.value == {"completed": 0.7, "pruned": 0.6}.get(state)
    assert trial.intermediate_values == {1: 0.6}


@pytest.mark.parametrize(("direction", "best"), [("maximize", 2), ("minimize", 1)])
def test_the_best_trial_is_right_in_both_directions(
    database: Database, direction: str, best: int
) -> None:
    job = add_job(database, direction=direction)
    for number, value in enumerate([0.5, 0.2, 0.9, 0.9, 0.2]):
        add_trial(database, job, number, value=value)
    add_trial(database, job, 5, "pruned", value=None, reports={1: 99.0, 2: -99.0})
    add_trial(database, job, 6, "failed")
    study = load(database)
    assert study.best_trial.number == best
    assert StorageView(database).get_best_trial(job).number == best


def test_a_study_without_completed_trials_has_no_best_one(database: Database) -> None:
    add_trial(database, add_job(database), 0, "running")
    with pytest.raises(ValueError, match="No trials are completed yet"):
        _ = load(database).best_trial


def test_constraints_are_seen_by_optuna_and_by_the_dashboard(database: Database) -> None:
    job = add_job(database)
    add_trial(database, job, 0, value=0.9, system_attrs={"constraints:memory": 2.0})
    add_trial(database, job, 1, value=0.8, system_attrs={"constraints:memory": -1.0})
    view = StorageView(database)
    assert [t.system_attrs["constraints"] for t in view.get_all_trials(job)] == [[2.0], [-1.0]]
    assert view.get_best_trial(job).number == 1
    assert load(database).best_trial.number == 1


def test_a_value_that_was_not_finite_is_nan(database: Database) -> None:
    add_trial(database, add_job(database), 0, "failed", reports={1: 0.5, 2: None}, reason="nan")
    (trial,) = load(database).trials
    assert trial.intermediate_values[1] == 0.5
    assert math.isnan(trial.intermediate_values[2])
    assert trial.user_attrs == {"source": "sampler", "attempts": 1, "reason": "nan"}


def test_moments_are_naive_local_time_as_optuna_has_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_trial(database, add_job(database), 0, value=0.5)
    (trial,) = load(database).trials
    assert trial.datetime_start == datetime.fromtimestamp(START.timestamp())
    assert trial.datetime_complete is not None
    assert trial.datetime_complete.tzinfo is None


def test_a_metric_with_an_awkward_name_is_read(database: Database) -> None:
    metric = "val.f1 macro, weighted"
    job = add_job(database, metric=metric)
    add_trial(database, job, 0, value=0.5, reports={3: 0.25}, metric=metric)
    assert load(database).trials[0].intermediate_values == {3: 0.25}


def test_what_goes_on_is_seen_to_go_on(database: Database) -> None:
    job = add_job(database)
    trial = add_trial(database, job, 0, "running", reports={1: 0.4})
    view = StorageView(database)
    assert view.get_trial(trial).last_step == 1
    with database.writing() as connection:
        add_reports(connection, trial, {2: 0.6}, "val_accuracy")
    assert view.get_trial(trial).last_step == 2
    with database.writing() as connection:
        change = sa.update(trials).where(trials.c.id == trial)
        connection.execute(change.values(state="completed", value=0.6, finished_at=START))
    add_trial(database, job, 1, "queued")
    assert [t.state for t in view.get_all_trials(job)] == [TrialState.COMPLETE, TrialState.WAITING]
    assert view.get_n_trials(job, TrialState.COMPLETE) == 1


def test_finished_trials_are_read_once(database: Database) -> None:
    job = add_job(database)
    for number in range(30):
        add_trial(database, job, number, value=number / 100, reports={1: 0.1, 2: 0.2})
    running = add_trial(database, job, 30, "running", reports={1: 0.1})
    view = StorageView(database)
    first = view.get_all_trials(job, deepcopy=False)
    with database.writing() as connection:
        connection.execute(sa.update(trials).where(trials.c.id != running).values(value=9.0))
    second = view.get_all_trials(job, deepcopy=False)
    assert all(a is b for a, b in zip(first[:30], second[:30], strict=True))
    assert second[30] is not first[30]


def test_pages_of_trials_are_joined_without_a_gap(sqlite_database: Database) -> None:
    job = add_job(sqlite_database)
    row = {
        "job_id": job,
        "state": "running",
        "params": {"lr": 0.1},
        "source": "sampler",
        "system_attrs": {},
        "created_at": START,
    }
    with sqlite_database.writing() as connection:
        connection.execute(sa.insert(trials), [row | {"number": n} for n in range(1203)])
    view = StorageView(sqlite_database)
    for _ in range(2):
        assert [t.number for t in view.get_all_trials(job, deepcopy=False)] == list(range(1203))


def test_only_so_many_trials_are_kept_in_memory(database: Database) -> None:
    view = StorageView(database, most_cached_trials=25)
    loaded = {}
    for nth in range(4):
        job = add_job(database, f"job_{nth}")
        for number in range(10):
            add_trial(database, job, number, value=0.5)
        loaded[job] = view.get_all_trials(job, deepcopy=False)
    kept = [
        view.get_all_trials(job, deepcopy=False)[0] is before[0]
        for job, before in reversed(loaded.items())
    ]
    assert kept[:2] == [True, True]
    assert not any(kept[2:])


def test_a_job_that_got_a_freed_id_shows_its_own_trials(sqlite_database: Database) -> None:
    view = StorageView(sqlite_database)
    first = add_job(sqlite_database, "job_first")
    add_trial(sqlite_database, first, 0, value=0.1)
    assert len(view.get_all_trials(first)) == 1
    with sqlite_database.writing() as connection:
        connection.execute(sa.delete(jobs).where(jobs.c.id == first))
    with pytest.raises(KeyError):
        view.get_all_trials(first)
    second = add_job(sqlite_database, "job_second")
    assert second == first
    assert view.get_all_trials(second) == []


def test_all_jobs_are_listed_the_newest_first(database: Database) -> None:
    for ulid, name in (("job_1", "one"), ("job_2", "größer\n2")):
        add_job(database, ulid, name=name, direction="minimize")
    studies = StorageView(database).get_all_studies()
    assert [s.study_name for s in studies] == ["gr__er_2 (job_2)", "one (job_1)"]
    assert studies[0].user_attrs["name"] == "größer\n2"
    assert studies[0].direction == optuna.study.StudyDirection.MINIMIZE


def test_every_write_is_refused(sqlite_database: Database) -> None:
    job = add_job(sqlite_database)
    trial = add_trial(sqlite_database, job, 0, "running")
    study = load(sqlite_database)
    view = StorageView(sqlite_database)
    distribution = optuna.distributions.FloatDistribution(0, 1)
    attempts: list[Any] = [
        lambda: study.ask(),
        lambda: study.tell(0, 0.5),
        lambda: study.set_user_attr("a", 1),
        lambda: study.enqueue_trial({"lr": 0.1}),
        lambda: view.delete_study(job),
        lambda: view.create_new_study([optuna.study.StudyDirection.MINIMIZE], "new"),
        lambda: view.set_study_system_attr(job, "a", 1),
        lambda: view.set_trial_param(trial, "x", 0.5, distribution),
        lambda: view.set_trial_intermediate_value(trial, 1, 0.5),
        lambda: view.set_trial_user_attr(trial, "a", 1),
        lambda: view.set_trial_system_attr(trial, "a", 1),
    ]
    for attempt in attempts:
        with pytest.raises(StudyIsReadOnly, match="read-only"):
            attempt()
    assert load(sqlite_database).trials == study.trials


def test_optuna_analyses_the_study(database: Database) -> None:
    job = add_job(database)
    for number in range(20):
        lr = 10 ** -(1 + number / 5)
        params = {"lr": lr, "depth": 1 + number % 6, "optimizer": "sgd", "momentum": 0.5}
        add_trial(database, job, number, value=lr, params=params, reports={1: lr})
    study = load(database)
    importances = optuna.importance.get_param_importances(study)
    assert max(importances, key=lambda name: importances[name]) == "lr"
    other = optuna.create_study(direction="maximize")
    other.add_trials(study.trials)
    assert other.best_value == study.best_value


def test_the_space_is_the_one_of_the_plan(database: Database) -> None:
    add_trial(database, add_job(database), 0, value=0.5)
    (trial,) = load(database).trials
    assert set(trial.distributions) == {"lr", "depth", "optimizer"}
    assert set(trial.distributions) < set(SPACE.names)
    assert trial.distributions["lr"] == optuna.distributions.FloatDistribution(1e-5, 0.1, log=True)


def test_a_notebook_opens_the_view_by_the_settings(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_trial(sqlite_database, add_job(sqlite_database), 0, value=0.5)
    monkeypatch.setenv("TUNER_DATABASE_URL", str(sqlite_database.url))
    view = open_view()
    assert optuna.load_study(study_name=JOB, storage=view).best_value == 0.5
    view.close()


def test_a_view_of_a_database_without_tables_says_so(tmp_path: Any) -> None:
    with pytest.raises(SchemaMismatch, match="schema none"):
        open_view(f"sqlite:///{tmp_path / 'empty.db'}")
