"""A preparer of one's own, from the spec to the prediction, through a real service."""

import csv
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from models.catalog import DataSource
from models.data.loading import load
from models.exported.export import describe_model, load_model, save_model
from models.recipe import Recipe
from models.training.train import train
from tests.servers import PATIENCE_S, running
from tuner.client import Client
from tuner.errors import FormatUnavailable
from tuner.service.conversion import converted
from tuner.states import JobState
from tuner.takeaway import PredictionRefused, predict

CODE = '''
import torch
from torch import nn


class Logs(nn.Module):
    """The logarithm of each number's distance from the smallest that trained, beside the number."""

    def __init__(self, *, input_shape, gain: float = 1.0):
        super().__init__()
        self.gain = gain
        self.register_buffer("smallest", torch.zeros(input_shape))

    def fit(self, inputs):
        self.smallest.copy_(inputs.min(0).values)

    def forward(self, inputs):
        logs = (inputs - self.smallest).clamp(min=0).log1p()
        return torch.cat([inputs, self.gain * logs], 1)


class Broken(nn.Module):
    def forward(self, inputs):
        return inputs / 0
'''
SPEC: dict[str, Any] = {
    "model": "mlp",
    "data": {"csv": "rows.csv", "target": "high"},
    "loss": "cross_entropy",
    "optimizer": "adamw",
    "prepare": ["ourprep:Logs", "clip"],
    "space": {"gain": {"float": [0.5, 2.0]}, "lr": 0.01, "folds": 1, "width": 32, "depth": 1},
    "budget": {"trials": 2, "epochs": 5},
    "search": {"pruner": "none"},
}


def rows(path: Path, count: int, *, seed: int) -> list[str]:
    """Write rows of a table; their targets. What is high is told by both numbers together."""
    rng = random.Random(seed)
    lines = [(rng.gauss(0, 1), rng.gauss(0, 1), rng.choice("abc")) for _ in range(count)]
    targets = ["yes" if a + b > 0 else "no" for a, b, _ in lines]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("a", "b", "city", "high"))
        writer.writerows((*line, target) for line, target in zip(lines, targets, strict=True))
    return targets


@pytest.fixture
def ours(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The code as an installed module of all processes, and a folder of data with rows."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "ourprep.py").write_text(CODE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path / "code"), *sys.path)))
    monkeypatch.syspath_prepend(tmp_path / "code")
    (home / "data").mkdir(parents=True)
    rows(home / "data" / "rows.csv", 400, seed=0)
    yield home / "data"
    sys.modules.pop("ourprep", None)


@pytest.mark.usefixtures("ours")
def test_a_preparer_of_ones_own_is_trained_with_and_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = rows(tmp_path / "new.csv", 60, seed=1)
    monkeypatch.setenv("TUNER_ALLOWED_CODE", "ourprep")
    with running() as server, Client(server.url) as tuner:
        assert "clip" in {entry.name for entry in tuner.catalogue("preparations").entries}
        broken = tuner.submit({**SPEC, "prepare": "ourprep:Broken", "space": {}})
        job = tuner.submit(SPEC).wait(PATIENCE_S)
        assert job.state is JobState.SUCCEEDED
        (best,) = job.best().best
        assert {"ourprep:Logs", "gain", "clip"} <= best.params.keys()

        file = job.download_model(tmp_path / "best.safetensors")
        assert list(describe_model(file)["prepare"]) == ["ourprep:Logs", "clip"]
        assert "- in front of the network: ourprep:Logs, clip" in job.card()
        answers = predict(tuner, job.id, tmp_path / "new.csv").values
        assert sum(a == b for a, b in zip(answers, truth, strict=True)) > 0.8 * len(truth)
        monkeypatch.delenv("TUNER_ALLOWED_CODE")
        with pytest.raises(PredictionRefused) as caught:
            predict(tuner, job.id, tmp_path / "new.csv")
        assert str(caught.value) == (
            "ourprep:Logs stands in front of this network, and its code may not be imported here: "
            "add ourprep to TUNER_ALLOWED_CODE."
        )

        ended = broken.wait(PATIENCE_S)
        assert ended.state is JobState.FAILED
        assert "ourprep:Broken answers NaN or infinity for training rows; give finite numbers." in (
            ended.view.detail or ""
        )
        assert server.end(signal.SIGTERM) == 0


def test_a_network_behind_ones_own_code_is_converted_where_that_is_allowed(
    ours: Path, tmp_path: Path
) -> None:
    source = DataSource(name="csv", path=str(ours / "rows.csv"), options={"target": "high"})
    recipe = Recipe(
        model="mlp", loss="cross_entropy", optimizer="adamw", data=source, epochs=1, seed=0,
        config={"folds": 1, "width": 8, "depth": 1}, prepare=("ourprep:Logs",),
    )  # fmt: skip
    data = load(source, roots=(str(ours),), cache_dir=tmp_path / "cache")
    (epoch,) = train(recipe, data)
    save_model(tmp_path / "model", epoch.checkpoint())
    with pytest.raises(FormatUnavailable) as caught:
        converted(tmp_path / "model", tmp_path / "folder", "torch_export")
    assert str(caught.value) == (
        "There is no format = 'torch_export' here: ourprep:Logs stands in front of this network, "
        "and its code may not be imported here: add ourprep to TUNER_ALLOWED_CODE."
    )
    program = converted(
        tmp_path / "model", tmp_path / "folder", "torch_export", allowed_code=("ourprep",)
    )
    with torch.inference_mode():
        known = load_model(tmp_path / "model", ("ourprep",))(data.val.inputs[:3]).softmax(1)
    found = torch.export.load(program).module()(data.val.inputs[:3])
    torch.testing.assert_close(found, known, atol=1e-5, rtol=1e-5)
