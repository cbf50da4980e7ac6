"""The examples that are commands, carried out by a real server."""

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
from tuner.states import JobState, TrialState

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_S = 250.0


def spec_of(example: str, **budget: int) -> dict[str, Any]:
    """The example's spec with a smaller budget."""
    document = yaml.safe_load((EXAMPLES / example / "spec.yaml").read_text())
    return {**document, "budget": document["budget"] | budget}


@pytest.fixture
def commands(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TUNER_HOME, of a server that runs commands."""
    monkeypatch.setenv("TUNER_ALLOW_COMMANDS", "1")
    monkeypatch.setenv("TUNER_ALLOW_UPLOADED_CODE", "1")
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))  # as where the package is installed
    return home


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("example", "trials"), [("script", 6), ("torchrun", 2)])
def test_an_example_is_searched_as_it_stands(commands: Path, example: str, trials: int) -> None:
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(spec_of(example, trials=trials), code=EXAMPLES / example)
        assert job.wait(PATIENCE_S).view.state is JobState.SUCCEEDED
        found = list(job.trials())
        best = job.best().best[0]
        assert server.end(signal.SIGTERM) == 0
    ended_well = (TrialState.COMPLETED, TrialState.PRUNED)
    assert [trial.detail for trial in found if trial.state not in ended_well] == []
    assert len(found) == trials
    assert best.value == min(t.value for t in found if t.state is TrialState.COMPLETED)
    assert set(best.params) == set(spec_of(example)["space"])
    database = Database(Settings(home=commands).url)
    assert_invariants(database, Settings(home=commands).artifacts)
    database.close()
    assert list(Settings(home=commands).trial_folders.glob("*/*")) == []
