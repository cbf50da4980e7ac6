"""The examples whose training is code of others, carried out by a real server."""

import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.invariants import assert_invariants
from tests.servers import running
from tuner.client import Client
from tuner.db import Database
from tuner.settings import Settings
from tuner.states import Direction, JobState, TrialState

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_S = 250.0


def spec_of(example: str, **budget: int) -> dict[str, Any]:
    """The example's spec with a smaller budget."""
    document = yaml.safe_load((EXAMPLES / example / "spec.yaml").read_text())
    return {**document, "budget": document["budget"] | budget}


@pytest.fixture
def foreign(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TUNER_HOME, of a server that takes code and runs commands."""
    monkeypatch.setenv("TUNER_ALLOW_COMMANDS", "1")
    monkeypatch.setenv("TUNER_ALLOW_UPLOADED_CODE", "1")
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))  # as where the package is installed
    return home


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("example", "trials", "parameters"),
    [
        ("script", 6, {"alpha", "penalty"}),
        ("torchrun", 2, {"lr", "width"}),
        ("objective", 4, {"n_layers", "n_units_l0", "dropout_l0", "optimizer", "lr"}),
        ("own_module", 3, {"width", "depth", "gain", "normalise", "activation", "lr"}),
        ("lightning", 2, {"width", "dropout", "lr", "batch_size"}),
        ("transformers", 2, {"width", "layers", "lr", "batch_size"}),
    ],
)
def test_an_example_is_searched_as_it_stands(
    foreign: Path, example: str, trials: int, parameters: set[str]
) -> None:
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(spec_of(example, trials=trials), code=EXAMPLES / example)
        assert job.wait(PATIENCE_S).view.state is JobState.SUCCEEDED
        found = list(job.trials())
        best = job.best().best[0]
        way = job.view.direction
        assert server.end(signal.SIGTERM) == 0
    ended_well = (TrialState.COMPLETED, TrialState.PRUNED)
    assert [trial.detail for trial in found if trial.state not in ended_well] == []
    assert len(found) == trials
    values = [t.value for t in found if t.state is TrialState.COMPLETED and t.value is not None]
    assert best.value == (max(values) if way is Direction.MAXIMIZE else min(values))
    assert parameters <= set(best.params)
    settings = Settings(home=foreign)
    database = Database(settings.url)
    assert_invariants(database, settings.artifacts)
    database.close()
    assert list(settings.trial_folders.glob("*/*")) == []
