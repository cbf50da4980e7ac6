"""A job whose trials share workers, by real processes: the same promises as for one trial each."""

import signal
from pathlib import Path

import pytest
import sqlalchemy as sa

from models.data.loading import load
from models.exported.export import describe_model, load_model
from models.recipe import Recipe
from models.training.evaluate import evaluate
from models.training.train import train
from tests.invariants import assert_invariants
from tests.servers import PATIENCE_S, running
from tuner.client import Client
from tuner.db import Database, attempts
from tuner.settings import Settings
from tuner.states import JobState, TrialState

SPEC = {
    "model": "mlp",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "adamw",
    "space": {
        "batch_size": 128,
        "depth": 2,
        "width": 32,
        "activation": "relu",
        "normalisation": "none",
        "residual": False,
    },
    "resources": {"lanes": 4},
}


def workers_of(settings: Settings) -> dict[int, int]:
    """How many attempts each worker has served."""
    worker = sa.func.coalesce(attempts.c.beside, attempts.c.id)
    database = Database(settings.url)
    with database.reading() as connection:
        rows = connection.execute(sa.select(worker, sa.func.count()).group_by(worker)).all()
    assert_invariants(database, settings.artifacts)
    database.close()
    return {row[0]: row[1] for row in rows}


def test_every_trial_is_the_one_it_would_be_alone(home: Path, tmp_path: Path) -> None:
    spec = {**SPEC, "budget": {"trials": 12, "epochs": 4}, "search": {"seed": 3, "pruner": "none"}}
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(spec)
        list(tuner.events(job))
        best = job.best().best[0]
        file = job.download_model(tmp_path / "best.safetensors")
        points = tuner.curves(job, best.number).points
        curve = {point.step: point.values["val_loss"] for point in points}
        assert server.end(signal.SIGTERM) == 0
    served = workers_of(Settings(home=home))
    assert sum(served.values()) == 13, "a probe, and twelve trials"
    assert max(served.values()) > 4, "a lane that became free was filled again"
    assert len(served) <= 4, served
    data = load("digits", cache_dir=home / "cache")
    assert evaluate(load_model(file), data)["accuracy"] == best.value
    alone = train(Recipe.from_json(describe_model(file)["recipe"]), data)
    losses = {epoch.index: epoch.metrics["val_loss"] for epoch in alone}
    assert curve == pytest.approx(losses, rel=1e-2)


def test_everything_killed_amid_lanes_leaves_the_budget_exact(home: Path) -> None:
    spec = {**SPEC, "budget": {"trials": 16, "epochs": 6}, "search": {"seed": 5, "pruner": "none"}}
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(spec)
        for event in tuner.events(job):
            if event.kind == "trial_completed":
                break
        server.end(signal.SIGKILL)
    with running() as server, Client(server.url) as tuner:
        done = tuner.job(job.id).wait(timeout_s=PATIENCE_S)
        assert done.state is JobState.SUCCEEDED
        trials = list(done.trials())
        assert [trial.state for trial in trials] == [TrialState.COMPLETED] * 16
        assert server.end(signal.SIGTERM) == 0
    assert max(workers_of(Settings(home=home)).values()) >= 4
