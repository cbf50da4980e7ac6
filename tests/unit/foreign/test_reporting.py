"""What a training script calls: a line for the service, and nothing where there is none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tuner import report


@pytest.fixture
def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNER_METRICS", str(tmp_path / "metrics.jsonl"))
    monkeypatch.delenv("RANK", raising=False)
    return tmp_path / "metrics.jsonl"


def test_without_the_service_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TUNER_METRICS", raising=False)
    assert report(step=1, loss=0.5) is False
    assert capfd.readouterr() == ("", "")


def test_each_report_is_a_line(metrics: Path) -> None:
    assert report(step=1, loss=0.5)
    assert report({"val/loss": torch.tensor(0.25)}, step=np.int64(2), acc=np.float32(0.5))
    assert report(loss=1)
    assert [json.loads(line) for line in metrics.read_text().splitlines()] == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "val/loss": 0.25, "acc": 0.5},
        {"loss": 1.0},
    ]


def test_of_several_processes_the_first_reports(
    metrics: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert report(step=1, loss=0.5) is False
    assert not metrics.exists()
    monkeypatch.setenv("RANK", "0")
    assert report(step=1, loss=0.5)


def test_what_is_no_number_is_the_scripts_mistake(metrics: Path) -> None:
    with pytest.raises(TypeError):
        report(loss=None)
    with pytest.raises(ValueError, match="low"):
        report(loss="low")
    assert not metrics.exists()
