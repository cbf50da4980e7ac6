"""Small checkpoints, and a trial's files, without a training."""

from pathlib import Path
from typing import Any

import torch

from models.catalog import DataShape, DataSource
from models.recipe import Recipe
from models.training.checkpoint import Checkpoint
from models.training.train import Epoch
from tuner.protocol import FromWorker, Saved, StartAttempt, ToWorker
from tuner.trial import Context
from tuner.trial_order import Job

FOLDER = "jobs/job_1/trials/0"


class Ear:
    """Takes in what a program says, and answers nothing."""

    def __init__(self) -> None:
        self.heard: list[FromWorker] = []

    def send(self, message: FromWorker) -> None:
        self.heard.append(message)

    def receive(self) -> ToWorker:
        raise AssertionError("nobody was asked")

    def receive_now(self) -> ToWorker | None:
        return None

    @property
    def saved(self) -> list[Saved]:
        return [message for message in self.heard if isinstance(message, Saved)]


def context_for(ear: Ear, scratch: Path) -> Context:
    order = StartAttempt(attempt=1, program="", payload={})
    return Context(order, ear, scratch=scratch, device="cpu")


def job_at(address: str, **overrides: Any) -> Job:
    payload = {
        "recipe": _recipe().to_json(),
        "metric": "val_loss",
        "direction": "minimize",
        "roots": [],
        "cache": "nowhere",
        "artifacts": address,
        "folder": FOLDER,
    }
    return Job.of(payload | overrides)


def make_epoch(step: int, *, loss: float = 1.0, values: int = 100) -> Epoch:
    """An epoch with this validation loss, whose checkpoint holds so many numbers."""
    checkpoint = make_checkpoint(step, values=values, loss=loss)
    return Epoch(index=step, metrics=checkpoint.metrics, state=lambda: checkpoint)


def make_checkpoint(step: int, *, values: int = 100, loss: float = 1.0) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    return Checkpoint(
        recipe=_recipe(),
        shape=DataShape(
            input_shape=(4,), classes=2, train_rows=8, val_rows=4, test_rows=0, labels=(0, 1)
        ),
        preparation={},
        fingerprint="f",
        epoch=step,
        step=step * 10,
        curve=[{"val_loss": loss}] * step,
        tensors={"model.weight": torch.rand(values, generator=generator)},
    )


def _recipe() -> Recipe:
    return Recipe(
        model="mlp",
        loss="cross_entropy",
        optimizer="sgd",
        data=DataSource(name="digits"),
        config={},
        epochs=10,
        seed=0,
    )
