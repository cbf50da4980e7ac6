"""The promise, kept by real processes: from four lines to a trained network that does as told."""

import signal
from pathlib import Path

import pytest

from models.data.loading import load
from models.exported.export import describe_model, load_model
from models.recipe import Recipe
from models.training.evaluate import evaluate
from models.training.train import train
from tests.invariants import assert_invariants
from tests.servers import PATIENCE_S, running
from tuner.client import Client
from tuner.db import Database
from tuner.settings import Settings
from tuner.states import JobState, TrialState

ESSENTIALS = {
    "model": "convnet",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "adamw",
}


def test_from_submission_to_a_network_that_has_the_accuracy_it_was_told_by(
    home: Path, tmp_path: Path
) -> None:
    spec = {**ESSENTIALS, "budget": {"trials": 4, "epochs": 3}, "search": {"seed": 3}}
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(spec)
        kinds = [event.kind for event in tuner.events(job)]
        assert kinds[0] == "submitted"
        assert kinds[-1] == "succeeded"
        assert kinds.count("trial_started") == 4
        best = job.best().best[0]
        file = job.download_model(tmp_path / "best.safetensors")
        assert server.end(signal.SIGTERM) == 0
    data = load("digits", cache_dir=home / "cache")
    assert evaluate(load_model(file), data)["accuracy"] == best.value
    document = describe_model(file)
    assert document["epoch"] == best.best_step
    *_, last = train(Recipe.from_json(document["recipe"]), data)
    assert last.metrics["val_accuracy"] == pytest.approx(best.value, abs=0.02)
    with_database = Database(Settings(home=home).url)
    assert_invariants(with_database, Settings(home=home).artifacts)
    with_database.close()


@pytest.mark.usefixtures("home")
def test_a_killed_scheduler_leaves_the_budget_exact_and_no_trial_out(home: Path) -> None:
    budget = {"trials": 10, "epochs": 3}
    spec = {**ESSENTIALS, "model": "mlp", "budget": budget, "search": {"seed": 5}}
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(spec)
        started = 0
        for event in tuner.events(job):
            started += event.kind == "trial_started"
            if event.kind == "trial_started" and started in (2, 5):
                server.part("scheduler").kill()
                server.says("starting it again")
        view = job.wait(PATIENCE_S).view
        assert view.state is JobState.SUCCEEDED
        trials = list(job.trials())
        assert server.end(signal.SIGTERM) == 0
    assert [trial.number for trial in trials] == list(range(10))
    assert {t.state for t in trials} <= {TrialState.COMPLETED, TrialState.PRUNED}
    database = Database(Settings(home=home).url)
    assert_invariants(database, Settings(home=home).artifacts)
    database.close()


@pytest.mark.timeout(400)
@pytest.mark.usefixtures("home")
def test_thirty_trials_reach_the_accuracy_promised_and_never_less_than_the_default() -> None:
    """One job carries out all thirty. The others end as soon as they are there: the best of more
    trials is never worse."""
    budget = {"trials": 30, "epochs": 15}
    budgets = [budget, *(budget | {"target": 0.985} for _ in range(2))]
    with running() as server, Client(server.url) as tuner:
        jobs = [
            tuner.submit({**ESSENTIALS, "budget": budget, "search": {"seed": seed}})
            for seed, budget in enumerate(budgets)
        ]
        for job in jobs:
            assert job.wait(380).state is JobState.SUCCEEDED
            best = job.best().best[0]
            default = tuner.trial(job, 0)
            assert best.value is not None
            assert default.value is not None
            assert best.value >= 0.985
            assert best.value >= default.value
        assert [jobs[0].view.progress.finished, jobs[0].view.counts.created] == [30, 30]
        assert server.end(signal.SIGTERM) == 0
