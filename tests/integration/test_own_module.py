"""A network and data of one's own, from the spec to the prediction, through a real service."""

import csv
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from models.exported.export import describe_model, load_model
from models.importing import PartRefused
from tests.invariants import assert_invariants
from tests.servers import PATIENCE_S, running
from tuner.client import ApiError, Client
from tuner.db import Database
from tuner.documents.read_yaml import read_yaml
from tuner.settings import Settings
from tuner.states import JobState, Reason, TrialState
from tuner.takeaway import PredictionRefused, predict

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_module"
CODE = '''
from torch import nn, zeros


class Divided(nn.Module):
    """Can only be built where `heads` divide `width`."""

    def __init__(self, in_features, num_classes, width: int = 8, heads: int = 2):
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide {width}")
        self.head = nn.Sequential(nn.Linear(in_features, width), nn.Linear(width, num_classes))

    def forward(self, x):
        return self.head(x)
'''


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example's package, and one more, installed for all processes."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "divided.py").write_text(CODE)
    paths = (str(EXAMPLE), str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((*paths, *sys.path)))
    monkeypatch.setenv("TUNER_ALLOWED_CODE", "spirals,divided")
    for path in paths:
        monkeypatch.syspath_prepend(path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] in ("spirals", "divided")]:
        del sys.modules[name]


def example() -> dict[str, Any]:
    document = read_yaml((EXAMPLE / "spec.yaml").read_bytes())
    assert isinstance(document, dict)
    return document


def new_points(path: Path) -> list[int]:
    """Write rows as nobody has prepared them; the arm of each."""
    from spirals.data import make

    torch.manual_seed(99)
    points, arms = make(arms=3, rows=90)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("x0", "x1"))
        writer.writerows(points.tolist())
    return [int(arm) for arm in arms]


@pytest.mark.usefixtures("code", "home")
def test_the_example_is_trained_with_and_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = new_points(tmp_path / "new.csv")
    document = example()
    document |= {"search": {"pruner": "none", "seed": 1}, "budget": {"trials": 3, "epochs": 8}}
    document["space"] |= {"lr": 0.01, "batch_size": 32, "folds": 1, "schedule": "cosine"}
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(document).wait(PATIENCE_S)
        assert (job.state, job.view.detail) == (JobState.SUCCEEDED, "all 3 trials done")
        assert job.view.what == "spirals.net:Net on spirals.data:make, cross_entropy, adamw"
        first, *_ = tuner.trials(job.id)
        own = {"width": 32, "depth": 2, "dropout": 0.0, "gain": 0.5, "normalise": True}
        assert {name: first.params[name] for name in own} == own
        assert (job.best().best[0].value or 0) > 0.8

        file = job.download_model(tmp_path / "best.safetensors")
        about = describe_model(file)
        assert about["model"] == "spirals.net:Net"
        assert about["arguments"].keys() == {*own, "activation"}
        answers = predict(tuner, job.id, tmp_path / "new.csv").values
        assert sum(a == b for a, b in zip(answers, truth, strict=True)) > 0.7 * len(truth)
        card = job.card()
        assert "`spirals.net:Net` for 3 classes of table data" in card
        assert "- data: spirals.data:make" in card

        program = job.download_model(tmp_path / "best.pt2")
        rows = torch.randn(5, 2)
        with torch.inference_mode():
            known = load_model(file, ("spirals",))(rows).softmax(1)
        found = torch.export.load(program).module()(rows)
        torch.testing.assert_close(found, known, atol=1e-5, rtol=1e-5)

        monkeypatch.delenv("TUNER_ALLOWED_CODE")
        with pytest.raises(PredictionRefused) as caught:
            predict(tuner, job.id, tmp_path / "new.csv")
        assert str(caught.value) == (
            "spirals.net:Net is this network, and its code may not be imported here: add spirals "
            "to TUNER_ALLOWED_CODE."
        )
        with pytest.raises(PartRefused):
            load_model(file)
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.usefixtures("code")
def test_what_builds_nothing_is_infeasible_as_a_trial_and_refused_as_a_job(home: Path) -> None:
    document = {
        **example(),
        "model": "divided:Divided",
        "space": {
            "width": {"choice": [8, 9]},
            "heads": {"choice": [2, 3]},
            **dict.fromkeys(("folds", "batch_size"), 1),
            "batch_size": 64,
            "lr": 0.01, "schedule": "constant", "warmup": 0.0, "beta1": 0.9, "beta2": 0.999,
            "weight_decay": 0.0, "label_smoothing": 0.0,
        },
        "search": {"sampler": "grid", "pruner": "none"},
        "budget": {"trials": 4, "epochs": 1},
    }  # fmt: skip
    with running() as server, Client(server.url) as tuner:
        plan = tuner.validate(document)
        assert [note.partition(" with all")[0] for note in plan.notes[:2]] == [
            "width = 9 builds nothing",
            "heads = 3 builds nothing",
        ]
        job = tuner.submit(document).wait(PATIENCE_S)
        assert job.state is JobState.SUCCEEDED
        ended = {(t.params["width"], t.params["heads"]): t for t in tuner.trials(job.id)}
        assert {config: trial.state for config, trial in ended.items()} == {
            (8, 2): TrialState.COMPLETED,
            (8, 3): TrialState.FAILED,
            (9, 2): TrialState.FAILED,
            (9, 3): TrialState.COMPLETED,
        }
        assert ended[8, 3].reason == Reason.INFEASIBLE
        assert "ValueError: 3 heads do not divide 8" in (ended[8, 3].detail or "")

        with pytest.raises(ApiError) as caught:
            tuner.submit({**document, "model": "divided:Undivided"})
        assert caught.value.status == 422
        assert "module divided has no 'Undivided'; did you mean 'Divided'?" in str(caught.value)
        # The server's own process has none of it.
        api = server.part("api")
        assert not any("torch" in mapped.path for mapped in api.memory_maps())
        assert server.end(signal.SIGTERM) == 0
    settings = Settings(home=home)
    database = Database(settings.url)
    assert_invariants(database, settings.artifacts)
    database.close()
