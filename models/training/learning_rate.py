"""The learning rate of a training, step by step."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from models.hyperparameters import Config
from models.training.schedule import lr_factor, plateau_factor


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRate:
    """The schedule of one training. It follows from the step and the losses, and remembers nothing.

    `peak` is the optimizer's own rate, which a schedule never exceeds.
    """

    schedule: str
    peak: float
    warmup: float
    epochs: int
    steps_per_epoch: int

    @classmethod
    def of(
        cls, config: Config, *, peak: float, epochs: int, steps_per_epoch: int
    ) -> "LearningRate":
        """That of a configuration."""
        return cls(
            schedule=str(config["schedule"]),
            peak=peak,
            warmup=float(config.get("warmup", 0.0)),
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
        )

    def plateau_scale(self, val_losses: Iterable[float]) -> float:
        """What the losses so far make of the coming epoch's rates; 1 but for one schedule."""
        return plateau_factor(val_losses, epochs=self.epochs) if self.schedule == "plateau" else 1.0

    def at(self, step: int, *, scale: float) -> float:
        """`scale` times the schedule's rate for `step`, counted from 0."""
        steps = self.steps_per_epoch * self.epochs
        return scale * self.peak * lr_factor(self.schedule, step, steps=steps, warmup=self.warmup)

    def give(self, optimizer: torch.optim.Optimizer, step: int, *, scale: float) -> float:
        """Give the optimizer the rate `at` this step."""
        rate = self.at(step, scale=scale)
        for group in optimizer.param_groups:
            group["lr"] = rate
        return rate
