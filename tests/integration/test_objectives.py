"""Optuna objectives as trials: what they suggest, report and note, and what is wrong with some."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import optuna
import pytest
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

from tests import objectives
from tests.factories import StoredJob
from tests.invariants import assert_invariants
from tests.stand import Stand
from tuner.db import Database
from tuner.executors.inline import InlineExecutor
from tuner.service.core import Service
from tuner.settings import Settings
from tuner.storage_view import StorageView

Begin = Callable[..., Stand]
SEED = 11


@pytest.fixture
def begin(database: Database, settings: Settings) -> Iterator[Begin]:
    """Start a scheduler that takes tests' code; afterwards, what it wrote keeps the invariants."""
    with ExitStack() as stack:

        def begun() -> Stand:
            chosen = settings.model_copy(update={"allowed_code": ("tests",)})
            return stack.enter_context(Stand(database, chosen, InlineExecutor()))

        yield begun
    assert_invariants(database)


def spec(name: str, trials: int = 3, **rest: Any) -> dict[str, Any]:
    return {
        "objective": f"tests.objectives:{name}",
        "budget": {"trials": trials},
        "parallel": 1,
        "search": {"seed": SEED},
        **rest,
    }


def only_trial(stand: Stand, job: StoredJob) -> Any:
    stand.finish(job)
    (trial,) = stand.trials(job)
    return trial


SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: RandomSampler(seed=SEED),
    "tpe": lambda: TPESampler(seed=SEED, multivariate=True),
    "nsga2": lambda: NSGAIISampler(seed=SEED),
}
PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "median": MedianPruner,
    "asha": SuccessiveHalvingPruner,
    "hyperband": HyperbandPruner,
}


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [("tpe", "median"), ("random", "asha"), ("nsga2", "hyperband"), ("tpe", "hyperband")],
)
def test_it_goes_as_in_optuna_itself(begin: Begin, sampler: str, pruner: str) -> None:
    """One at a time, the same seed: the same parameters, values and verdicts."""
    stand = begin()
    search = {"sampler": sampler, "pruner": pruner, "seed": SEED}
    job = stand.submit_as_written(spec("conditional", 30, direction="maximize", search=search))
    stand.finish(job)
    study = optuna.create_study(
        study_name=job.ulid,  # Hyperband's brackets come from it
        direction="maximize",
        sampler=SAMPLERS[sampler](),
        pruner=PRUNERS[pruner](),
    )
    study.optimize(objectives.conditional, n_trials=30)
    view = StorageView(stand.database)
    ours = view.get_all_trials(job.id)
    assert [trial.params for trial in ours] == [trial.params for trial in study.trials]
    assert [trial.state for trial in ours] == [trial.state for trial in study.trials]
    assert [trial.value for trial in ours] == [trial.value for trial in study.trials]
    assert [t.intermediate_values for t in ours] == [t.intermediate_values for t in study.trials]
    assert [t.distributions for t in ours] == [t.distributions for t in study.trials]
    assert ours[0].user_attrs["widths"] == study.trials[0].user_attrs["widths"]
    assert {trial.state.name for trial in ours} == {"COMPLETE", "PRUNED"}
    assert stand.job(job)["best_value"] == study.best_value


def test_many_at_once_use_the_budget_exactly(begin: Begin) -> None:
    stand = begin()
    job = stand.submit_as_written(spec("conditional", 20, parallel=4, direction="maximize"))
    row = stand.finish(job)
    assert (row["created"], row["completed"] + row["pruned"]) == (20, 20)


def test_a_new_scheduler_goes_on_with_what_was_suggested(begin: Begin) -> None:
    stand = begin()
    job = stand.submit_as_written(spec("conditional", 12, direction="maximize"))
    stand.until(lambda: stand.job(job)["completed"] >= 3)
    before = {t["number"]: t["params"] for t in stand.trials(job) if t["finished_at"]}
    stand.loop.close()
    stand.begin()
    row = stand.finish(job)
    assert row["created"] == 12
    after = {t["number"]: t["params"] for t in stand.trials(job)}
    assert {number: after[number] for number in before} == before
    assert len({str(params) for params in after.values()}) == 12, "no point is tried twice"


def test_start_points_are_taken_by_name(begin: Begin) -> None:
    stand = begin()
    start = [{"lr": 0.003, "n_layers": 2}]
    job = stand.submit_as_written(spec("conditional", 2, start=start))
    stand.finish(job)
    first, second = stand.trials(job)
    assert (first["params"]["lr"], first["params"]["n_layers"], first["source"]) == (
        0.003,
        2,
        "start",
    )
    assert second["source"] == "sampler"


def test_a_declared_space_is_searched_and_given_to_the_objective(begin: Begin) -> None:
    stand = begin()
    space = {"x": {"float": [0.0, 1.0]}, "y": {"int": [1, 3], "when": {"x": 0.5}}}
    del space["y"]["when"]
    job = stand.submit_as_written(spec("declared", 4, space=space))
    stand.finish(job)
    for trial in stand.trials(job):
        params = trial["params"]
        assert trial["value"] == params["x"] + params["y"]
        assert trial["last_step"] == 3
    assert stand.trials(job)[0]["source"] == "default"


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("nothing", "user_error", "returned None; an objective returns a number"),
        ("text", "user_error", "returned '0.5'; an objective returns a number"),
        ("too_many", "user_error", "returned 3 values, and the job has 1 direction"),
        ("infinite", "nan", "returned nan"),
        ("two_kinds", "user_error", "Cannot set different distribution kind"),
        ("unjsonable", "user_error", "not JSON serializable"),
    ],
)
def test_what_an_objective_does_wrong_is_told(
    begin: Begin, name: str, reason: str, said: str
) -> None:
    stand = begin()
    trial = only_trial(stand, stand.submit_as_written(spec(name, 1)))
    assert (trial["state"], trial["reason"]) == ("failed", reason)
    assert said in trial["detail"]


def test_what_optuna_only_warns_of_is_no_failure(begin: Begin) -> None:
    stand = begin()
    with pytest.warns(RuntimeWarning, match="Inconsistent parameter values"):
        trial = only_trial(stand, stand.submit_as_written(spec("two_ranges", 1)))
    assert trial["state"] == "completed"
    assert 0 <= trial["params"]["x"] <= 1
    with pytest.warns(UserWarning, match="already reported"):
        trial = only_trial(stand, stand.submit_as_written(spec("twice", 1)))
    assert trial["state"] == "completed"
    (point,) = StorageView(stand.database).get_trial(trial["id"]).intermediate_values.items()
    assert point == (3, 1.0)


def test_a_constraint_is_told_to_the_sampler(begin: Begin) -> None:
    stand = begin()
    job = stand.submit_as_written(spec("no_room", 5))
    stand.finish(job)
    for trial in StorageView(stand.database).get_all_trials(job.id):
        assert trial.system_attrs["constraints:memory"] == trial.params["x"] - 0.5


def test_an_objective_that_catches_everything_is_stopped_all_the_same(begin: Begin) -> None:
    stand = begin()
    job = stand.submit_as_written(spec("catches_all", 1))
    stand.until(lambda: stand.trials(job) and stand.trials(job)[0]["last_step"])
    assert stand.answer(stand.request(job, "cancel")) == {"ok": True}
    assert stand.finish(job)["state"] == "cancelled"


@pytest.mark.parametrize(
    ("name", "space", "said"),
    [
        ("missing", {}, "has no 'missing'"),
        ("NOT_CALLABLE", {}, "is a int; name a function"),
        ("declared", {}, "declare a space if it takes (config, trial)"),
        ("conditional", {"x": {"float": [0, 1]}}, "leave the space out if it suggests"),
    ],
)
def test_what_is_no_objective_fails_at_the_probe(
    begin: Begin, name: str, space: dict[str, Any], said: str
) -> None:
    stand = begin()
    job = stand.submit_as_written(spec(name, 1, space=space))
    row = stand.finish(job)
    assert row["state"] == "failed"
    assert said in row["detail"]
    assert [attempt["trial_id"] for attempt in stand.attempts(job)] == [None]


def test_a_trial_that_is_lost_starts_over_with_its_parameters(begin: Begin) -> None:
    stand = begin()
    job = stand.submit_as_written(spec("lost_at_first", 1))
    stand.until(lambda: stand.trials(job) and stand.trials(job)[0]["last_step"])
    before = stand.trials(job)[0]["params"]
    stand.executor.kill(stand.attempts(job)[-1]["id"])
    trial = only_trial(stand, job)
    assert (trial["state"], trial["attempts"]) == ("completed", 2)
    assert trial["params"] == before
    assert trial["value"] == before["x"]


def test_a_scheduler_that_starts_anew_remembers_what_was_suggested(begin: Begin) -> None:
    stand = begin()
    job = stand.submit_as_written(spec("lost_at_first", 1))
    stand.until(lambda: stand.trials(job) and stand.trials(job)[0]["last_step"])
    before = stand.trials(job)[0]["params"]
    stand.loop.close()
    stand.executor.kill(stand.attempts(job)[-1]["id"])
    stand.begin()
    trial = only_trial(stand, job)
    assert (trial["state"], trial["params"]) == ("completed", before)
    assert trial["user_attrs"] == {"kind": before["kind"]}


def test_several_metrics_are_sought_at_once(begin: Begin) -> None:
    """The service answers with what no other trial is better than in everything."""
    stand = begin()
    metric = {"far": "minimize", "near": "minimize"}
    search = {"sampler": "nsga2", "seed": SEED}
    job = stand.submit_as_written(spec("several", 30, metric=metric, search=search))
    assert stand.finish(job)["state"] == "succeeded"
    study = optuna.create_study(directions=["minimize"] * 2, sampler=NSGAIISampler(seed=SEED))
    study.optimize(objectives.several, n_trials=30)
    view = StorageView(stand.database)
    loaded = optuna.load_study(study_name=job.ulid, storage=view)
    assert [trial.values for trial in loaded.trials] == [trial.values for trial in study.trials]
    assert [way.name for way in loaded.directions] == ["MINIMIZE"] * 2
    front = {trial.number for trial in study.best_trials}
    assert {trial.number for trial in loaded.best_trials} == front
    service = Service(stand.database, stand.settings)
    best = service.best(job.ulid)
    assert {trial.number for trial in best.best} == front
    assert best.metrics == metric
    assert all(trial.value is None and trial.values for trial in best.best)
    detail = service.job(job.ulid)
    assert (detail.best, detail.metrics) == (None, metric)
