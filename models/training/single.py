"""One network being trained, and where it stands."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.build import build_loss
from models.data.loading import Dataset
from models.entries import loss_entry
from models.hyperparameters import Value
from models.imported import own_config
from models.losses.targets import check_targets
from models.recipe import Recipe
from models.training.balance import DrawRows, rows_to_draw
from models.training.checkpoint import PARTIAL, Checkpoint
from models.training.divergence import refuse_infinite
from models.training.entry import full_config, parts_of
from models.training.evaluate import evaluate_rows
from models.training.learner import Learner
from models.training.learning_rate import LearningRate
from models.training.pace import Pace, Progress, unheard
from models.training.partial_epoch import PartialEpoch
from models.training.random_stream import RandomStream
from models.training.stateful import Stateful


class ResumeRefused(Exception):
    """The checkpoint is another training's."""


@dataclass(slots=True, kw_only=True)
class Training:
    """A network being trained, and where it stands."""

    recipe: Recipe
    data: Dataset
    learner: Learner
    val_loss: nn.Module
    draw_rows: DrawRows
    random: RandomStream
    config: Mapping[str, Value]
    #: Rows of a step.
    batch_size: int
    epoch: int = 0
    step: int = 0
    #: The epoch under way; it stays where what hears of its progress ends it.
    partial: PartialEpoch | None = None
    #: The metrics of each epoch so far.
    curve: list[Mapping[str, float]] = field(default_factory=list)
    pace: Pace = field(default_factory=lambda: Pace(unheard))

    @classmethod
    def begin(cls, recipe: Recipe, data: Dataset, device: str) -> "Training":
        """The training before its first step."""
        if loss_entry(recipe.loss).link == "log":
            data = data.in_own_unit()
        check_targets(recipe.loss, data)
        config = full_config(recipe, data.shape, but=own_config(recipe, data.shape))
        batch_size = min(int(config["batch_size"]), data.train.rows)
        random = RandomStream.seeded(recipe.seed, device)
        with random.in_place():
            learner = Learner.of(recipe, config, data, batch_size=batch_size, device=device)
        return cls(
            recipe=recipe,
            data=data,
            learner=learner,
            val_loss=build_loss(recipe.loss, config, training=False).to(device),
            draw_rows=rows_to_draw(data.train.labels, str(config.get("balance", "none"))),
            random=random,
            config=config,
            batch_size=batch_size,
        )

    def tell(self, progress: Progress) -> None:
        """Have `progress` hear of epochs that last."""
        self.pace = Pace(progress)

    def halve_parts(self, halvings: int) -> None:
        """Learn from the same batches, so often halved a part of them at once."""
        self.learner.parts = parts_of(self.config, self.batch_size, halvings=halvings)

    @property
    def learning_rate(self) -> LearningRate:
        """Its schedule."""
        return LearningRate.of(
            self.config,
            peak=float(self.learner.optimizer.defaults["lr"]),
            epochs=self.recipe.epochs,
            steps_per_epoch=self.steps_per_epoch,
        )

    @property
    def steps_per_epoch(self) -> int:
        """Full batches only: the rows left over are others in every epoch."""
        return self.data.train.rows // self.batch_size

    def advance(self) -> dict[str, float]:
        """Train one epoch, or the rest of the one under way, and validate; the metrics.

        What `tell` was given may raise: the epoch stays under way then.

        Raises:
            Diverged: a loss became NaN or infinite.
        """
        began = time.perf_counter()
        with self.random.in_place():
            if self.partial is None:
                order = self.draw_order().to(self.data.train.labels.device)
                self.partial = PartialEpoch.begin(order, began=began)
            metrics = self.train_epoch(self.partial)
            with self.learner.precision.autocast():
                self.learner.averaging.after_epoch(self.epoch + 1, self.training_inputs())
        began, self.partial, trained = self.partial.began, None, time.perf_counter()
        scores = evaluate_rows(
            self.learner.averaging.network,
            self.data,
            self.data.val,
            self.val_loss,
            loss=self.recipe.loss,
            precision=self.learner.precision,
        )
        return self.end_epoch(metrics, scores, began=began, trained=trained)

    def end_epoch(
        self,
        metrics: Mapping[str, float],
        scores: Mapping[str, float],
        *,
        began: float,
        trained: float,
    ) -> dict[str, float]:
        """The epoch's metrics, of those of its steps and those of validation; it has ended now.

        `began` and `trained`, when the steps were done, are on `time.perf_counter`.

        Raises:
            Diverged: the validation loss is NaN or infinite.
        """
        self.epoch += 1
        val_loss = torch.tensor([scores["loss"]], dtype=torch.float64)
        self.refuse_infinite(val_loss, first_step=self.step - 1)
        rows, ended = self.steps_per_epoch * self.batch_size, time.perf_counter()
        found = {
            **metrics,
            **{f"val_{name}": value for name, value in scores.items()},
            "seconds": ended - began,
            "samples_per_second": rows / (trained - began),
        }
        self.curve.append(found)
        return found

    def train_epoch(self, partial: PartialEpoch) -> dict[str, float]:
        """Take the steps that are still to be taken; the metrics of all of the epoch's."""
        self.learner.model.train()
        learning_rate, scale = self.learning_rate, self.plateau_scale
        self.pace.begin_epoch()
        for batch in partial.order[partial.done :]:
            learning_rate.give(self.learner.optimizer, self.step, scale=scale)
            partial.add(*self.take_step(batch))
            self.pace.after_step(partial.done, partial.losses)
        rate = learning_rate.at(self.step - 1, scale=scale)
        return self.learned(partial.losses, partial.correct, rate=rate)

    def draw_order(self) -> Tensor:
        """The rows of each of an epoch's steps (steps, B), from torch's global generator."""
        order = self.draw_rows(self.steps_per_epoch * self.batch_size)
        return order.view(self.steps_per_epoch, self.batch_size)

    @property
    def plateau_scale(self) -> float:
        """What the curve makes of the coming epoch's rates."""
        return self.learning_rate.plateau_scale(metrics["val_loss"] for metrics in self.curve)

    def learned(self, losses: Tensor, correct: Tensor, *, rate: float) -> dict[str, float]:
        """The metrics of an epoch's steps, all of which have been taken.

        `losses` (steps,) are theirs, `correct` how many labels were right, `rate` the last step's.

        Raises:
            Diverged: a loss is NaN or infinite.
        """
        steps = self.steps_per_epoch
        self.refuse_infinite(losses, first_step=self.step - steps)
        metrics = {"train_loss": losses.double().mean().item(), "learning_rate": rate}
        if self.data.shape.classes:
            labels = steps * self.batch_size * self.data.shape.labels_each
            metrics["train_accuracy"] = correct.item() / labels
        return metrics

    def take_step(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from the training rows `batch` (B,) names; see `Learner.learn`."""
        train = self.data.train
        inputs = self.data.prepared(train.inputs.index_select(0, batch))
        labels = self.data.targets(train.labels.index_select(0, batch))
        found = self.learner.learn(inputs, labels)
        self.step += 1
        return found

    def training_inputs(self) -> Iterator[Tensor]:
        """The inputs of the training rows, in full batches."""
        train, part = self.data.train, self.batch_size // self.learner.parts
        return (
            self.data.prepared(train.inputs[start : start + part])
            for start in range(0, train.rows - part + 1, part)
        )

    def refuse_infinite(self, losses: Tensor, *, first_step: int) -> None:
        """Raise `Diverged` with the first step whose loss is NaN or infinite."""
        refuse_infinite(losses, first_step=first_step, steps_per_epoch=self.steps_per_epoch)

    def stateful(self) -> dict[str, Stateful]:
        """What changes as it learns, under the names a checkpoint has for it."""
        return {**self.learner.stateful(), "random": self.random}

    def state(self) -> Checkpoint:
        """All of the training as it stands, and not copied: the tensors it goes on with."""
        parts = {name: part.tensors() for name, part in self.stateful().items()}
        if self.partial is not None:
            parts[PARTIAL] = self.partial.tensors()
        tensors = {
            f"{name}.{key}": tensor for name, part in parts.items() for key, tensor in part.items()
        }
        return Checkpoint(
            recipe=self.recipe,
            shape=self.data.shape,
            preparation=self.data.preparation.to_json(),
            fingerprint=self.data.fingerprint,
            epoch=self.epoch,
            step=self.step,
            curve=tuple(self.curve),
            tensors=tensors,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from the checkpoint.

        Raises:
            ResumeRefused: it is of another recipe or other data.
        """
        if checkpoint.recipe != self.recipe:
            raise ResumeRefused(f"The checkpoint is of {checkpoint.recipe}, not of {self.recipe}.")
        if checkpoint.fingerprint != self.data.fingerprint:
            raise ResumeRefused(f"{self.data.name} has changed since the checkpoint was written.")
        for name, part in self.stateful().items():
            part.restore(checkpoint.part(name))
        self.epoch, self.step = checkpoint.epoch, checkpoint.step
        self.curve = list(checkpoint.curve)
        if checkpoint.amid_epoch:
            device = self.data.train.labels.device
            self.partial = PartialEpoch.resumed(checkpoint.part(PARTIAL), device)
