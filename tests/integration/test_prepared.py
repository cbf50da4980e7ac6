"""A preparer of one's own, from the spec to the prediction, through a real service."""

import csv
import io
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.exported.export import describe_model
from tests.servers import PATIENCE_S, command, running
from tuner.client import Client
from tuner.states import JobState

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


def predicted(server: str, job: str, new: Path, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        command("predict", job, str(new), "--url", server),
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_preparer_of_ones_own_is_trained_with_and_predicts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "data").mkdir(parents=True)
    rows(home / "data" / "rows.csv", 400, seed=0)
    truth = rows(tmp_path / "new.csv", 60, seed=1)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "ourprep.py").write_text(CODE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path / "code"), *sys.path)))
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
        # Another process of the server's imports the code for this.
        assert job.download_model(tmp_path / "best.pt2").stat().st_size > 1000

        code, said, _ = predicted(server.url, job.id, tmp_path / "new.csv")
        assert code == 0
        answers = [line["prediction"] for line in csv.DictReader(io.StringIO(said))]
        assert sum(a == b for a, b in zip(answers, truth, strict=True)) > 0.8 * len(truth)
        code, _, refused = predicted(
            server.url, job.id, tmp_path / "new.csv", TUNER_ALLOWED_CODE=""
        )
        assert code == 1
        said = " ".join(refused.split())
        assert "its code may not be imported here: add ourprep to TUNER_ALLOWED_CODE." in said

        ended = broken.wait(PATIENCE_S)
        assert ended.state is JobState.FAILED
        assert "ourprep:Broken answers NaN or infinity for training rows; give finite numbers." in (
            ended.view.detail or ""
        )
        assert server.end(signal.SIGTERM) == 0
