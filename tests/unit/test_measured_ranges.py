"""A probe finds the ranges its order asks for, and is itself taken with what it found."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training import batch_probe
from models.training.single import Training
from tests.unit.test_trainer import Scheduler
from tuner.measured_ranges import found_ranges
from tuner.protocol import StartAttempt
from tuner.states import AttemptState, Reason
from tuner.trainer import probe
from tuner.trial import Context, Outcome
from tuner.trial_order import Job

HERE = __name__


class Steep(nn.Module):
    """A loss at which a usual learning rate leaves the numbers there are, at the second step."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return 1e6 * (outputs - functional.one_hot(targets, 10)).abs().exp().mean()


def payload(folder: Path, **changes: Any) -> dict[str, Any]:
    recipe = {
        "model": "mlp",
        "data": {"name": "digits"},
        "loss": "cross_entropy",
        "optimizer": "torch.optim:SGD",
        "config": {"depth": 1, "width": 16, "batch_size": 64},
        "epochs": 1,
        "seed": 0,
    }
    return {
        "recipe": recipe | changes.pop("recipe", {}),
        "metric": "val_loss",
        "direction": "minimize",
        "roots": [],
        "cache": str(folder),
        "artifacts": str(folder),
        "allowed_code": ["torch", "tests"],
        **changes,
    }


def probed(document: dict[str, Any]) -> Outcome:
    order = StartAttempt(attempt=1, program="tuner.trainer:probe", payload=document, threads=1)
    return probe(order.payload, Context(order, Scheduler(), scratch=Path(), device="cpu"))


def test_what_is_asked_for_is_found_and_nothing_else(tmp_path: Path) -> None:
    assert "ranges" not in probed(payload(tmp_path)).facts
    facts = probed(payload(tmp_path, ranges=["lr"])).facts
    assert facts["ranges"].keys() == {"lr"}
    assert facts["ranges"]["lr"]["low"] < facts["ranges"]["lr"]["high"]
    assert facts["parameters"] > 0, "and all that a probe says"
    facts = probed(payload(tmp_path, ranges=["lr", "batch_size"])).facts
    assert facts["ranges"]["batch_size"]["default"] == 64


def test_the_range_is_that_of_the_batch_size_found(tmp_path: Path, monkeypatch: Any) -> None:
    def no_room(training: Training, steps: int) -> float:
        if training.batch_size > 16:
            raise torch.OutOfMemoryError("no room")
        return 1.0

    monkeypatch.setattr(batch_probe, "alone_seconds", no_room)
    order = Job.of(payload(tmp_path, ranges=["lr", "batch_size"]))
    data = order.read_data("cpu")
    found = found_ranges(order, data, device="cpu")
    assert found["batch_size"]["choices"] == [16]
    small = payload(tmp_path, ranges=["lr"])
    small["recipe"]["config"]["batch_size"] = 16
    assert found["lr"] == found_ranges(Job.of(small), data, device="cpu")["lr"]


def test_a_jobs_memory_is_the_batches_too(tmp_path: Path, monkeypatch: Any) -> None:
    peaks = iter([0, 2**20, 2**21, 2**22])
    monkeypatch.setattr(batch_probe, "peak_memory", lambda: next(peaks))
    order = Job.of(payload(tmp_path, ranges=["batch_size"], memory_gb=3 / 1024))
    found = found_ranges(order, order.read_data("cpu"), device="cpu")
    assert found["batch_size"]["choices"] == [16, 32], "64 may take 4 MB of 3"


def test_a_job_whose_usual_rate_leads_nowhere_passes_its_probe_by_the_one_found(
    tmp_path: Path,
) -> None:
    steep = {"recipe": {"loss": f"{HERE}:Steep"}}
    without = probed(payload(tmp_path, **steep))
    assert (without.state, without.reason) == (AttemptState.FAILED, Reason.USER_ERROR)
    outcome = probed(payload(tmp_path, ranges=["lr"], **steep))
    assert outcome.state is AttemptState.SUCCEEDED
