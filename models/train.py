"""Training, one epoch at a time. It yields; whoever calls decides what becomes of it."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.augment.chain import Augment, build_augment, leading_classes
from models.balance import DrawRows, rows_to_draw, weights_for
from models.build import build_loss, build_model, build_optimizer
from models.checkpoint import Checkpoint
from models.data import Dataset
from models.domains import check
from models.entries import loss_entry
from models.evaluate import evaluate_rows
from models.hyperparameters import Config, Value
from models.imported import own_config
from models.importing import is_import_path
from models.random_stream import RandomStream
from models.recipe import Recipe
from models.schedule import lr_factor, plateau_factor
from models.targets import check_targets
from models.training import training_hyperparameters


class Diverged(Exception):
    """A loss became NaN or infinite."""

    def __init__(self, *, epoch: int, step: int, loss: float) -> None:
        super().__init__(f"The loss became {loss} at step {step}, in epoch {epoch}.")
        self.epoch = epoch
        self.step = step


class ResumeRefused(Exception):
    """The checkpoint is another training's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What an epoch brought. Of `train_` metrics, means over its steps while it learned."""

    #: The first is 1.
    index: int
    #: ``train_loss``, ``train_accuracy`` where the target is a class, ``val_loss`` and ``val_`` of
    #: every metric that fits the target, ``learning_rate`` (of the last step), ``seconds`` (with
    #: validation) and ``samples_per_second`` (without).
    metrics: Mapping[str, float]
    #: All of the training as it stands; to be called before the next epoch is asked for.
    checkpoint: Callable[[], Checkpoint]


def train(
    recipe: Recipe, data: Dataset, *, resume: Checkpoint | None = None, device: str = "cpu"
) -> Iterator[Epoch]:
    """Train by the recipe, from the start or from where `resume` stands.

    On a CPU with one thread the curve depends on recipe and data alone, to the last bit, whether
    it was interrupted or not. `data` must be on `device`.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        DataRefused: the loss does not take such targets.
        Diverged: a loss became NaN or infinite; noticed at the end of its epoch.
        PartRefused: a part by import path is not there, or not what it should be.
        ResumeRefused: `resume` is of another recipe or other data.
    """
    training = Training.begin(recipe, data, device)
    if resume is not None:
        training.restore(resume)
    while training.epoch < recipe.epochs:
        metrics = training.advance()
        yield Epoch(index=training.epoch, metrics=metrics, checkpoint=training.checkpoint)


@dataclass(slots=True, kw_only=True)
class Training:
    """A network being trained, and where it stands."""

    recipe: Recipe
    data: Dataset
    model: nn.Module
    loss: nn.Module
    val_loss: nn.Module
    optimizer: torch.optim.Optimizer
    augment: Augment
    draw_rows: DrawRows
    random: RandomStream
    config: Mapping[str, Value]
    batch_size: int
    epoch: int = 0
    step: int = 0
    #: The metrics of each epoch so far.
    curve: list[Mapping[str, float]] = field(default_factory=list)

    @classmethod
    def begin(cls, recipe: Recipe, data: Dataset, device: str) -> "Training":
        """The training before its first step."""
        if loss_entry(recipe.loss).link == "log":
            data = data.in_own_unit()
        check_targets(recipe.loss, data)
        general = {h.name: h.default for h in training_hyperparameters(data.shape, recipe.epochs)}
        config = general | dict(recipe.config)
        own = own_config(recipe, data.shape)
        check({name: value for name, value in config.items() if name not in own})

        def config_of(part: str) -> Config:
            return own if is_import_path(part) else config

        balance = str(config.get("balance", "none"))
        weights = weights_for(data.train.labels, data.shape.classes, balance)
        random = RandomStream.seeded(recipe.seed, device)
        with random.in_place():
            model = build_model(recipe.model, config, data.shape).to(device)
        return cls(
            recipe=recipe,
            data=data,
            model=model,
            loss=build_loss(recipe.loss, config_of(recipe.loss), training=True, weights=weights),
            val_loss=build_loss(recipe.loss, config, training=False).to(device),
            optimizer=build_optimizer(recipe.optimizer, config_of(recipe.optimizer), model),
            augment=build_augment(config, data, own),
            draw_rows=rows_to_draw(data.train.labels, balance),
            random=random,
            config=config,
            batch_size=min(int(config["batch_size"]), data.train.rows),
        )

    @property
    def steps_per_epoch(self) -> int:
        """Full batches only: the rows left over are others in every epoch."""
        return self.data.train.rows // self.batch_size

    def advance(self) -> dict[str, float]:
        """Train one epoch and validate; the metrics.

        Raises:
            Diverged: a loss became NaN or infinite.
        """
        began = time.perf_counter()
        with self.random.in_place():
            metrics = self.train_epoch()
        trained = time.perf_counter()
        self.epoch += 1
        scores = evaluate_rows(
            self.model, self.data, self.data.val, self.val_loss, loss=self.recipe.loss
        )
        metrics |= {f"val_{name}": value for name, value in scores.items()}
        val_loss = torch.tensor([scores["loss"]], dtype=torch.float64)
        self.refuse_infinite(val_loss, first_step=self.step - 1)
        rows = self.steps_per_epoch * self.batch_size
        ended = time.perf_counter()
        metrics |= {"seconds": ended - began, "samples_per_second": rows / (trained - began)}
        self.curve.append(metrics)
        return metrics

    def train_epoch(self) -> dict[str, float]:
        """So many rows as there are to train with, in a new order."""
        self.model.train()
        train, steps, first_step = self.data.train, self.steps_per_epoch, self.step
        device = train.labels.device
        order = self.draw_rows(steps * self.batch_size).to(device)
        losses = torch.empty(steps, device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        rate, scale = 0.0, self.plateau_scale()
        for index, batch in enumerate(order.view(steps, self.batch_size)):
            rate = self.set_learning_rate(scale)
            # Kept on the device: reading a value would make a GPU wait at every step.
            losses[index], right = self.take_step(batch)
            correct += right
        self.refuse_infinite(losses, first_step=first_step)
        metrics = {"train_loss": losses.double().mean().item(), "learning_rate": rate}
        if self.data.shape.classes:
            metrics["train_accuracy"] = correct.item() / (steps * self.batch_size)
        return metrics

    def take_step(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from the training rows `batch` (B,) names; the loss, and how many were right.

        Where the target is a number the second means nothing.
        """
        train = self.data.train
        inputs = self.data.prepared(train.inputs.index_select(0, batch))
        labels = train.labels.index_select(0, batch)
        inputs, labels = self.augment(inputs, labels)
        outputs = self.model(inputs)
        loss: Tensor = self.loss(outputs, labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.clip_gradients()
        self.optimizer.step()
        self.step += 1
        return loss.detach(), (outputs.argmax(1) == leading_classes(labels)).sum()

    def time_step(self) -> float:
        """Seconds a step takes, after one that warms up; the training is changed by both.

        Raises:
            Diverged: a loss is NaN or infinite.
        """
        self.model.train()
        batch = torch.arange(self.batch_size, device=self.data.train.labels.device)
        seconds = 0.0
        for _ in range(2):
            began = time.perf_counter()
            with self.random.in_place():
                loss, _right = self.take_step(batch)
            # Reading the loss waits for a GPU to have done the step.
            self.refuse_infinite(loss.reshape(1), first_step=self.step - 1)
            seconds = time.perf_counter() - began
        return seconds

    def plateau_scale(self) -> float:
        """What the losses so far make of the coming epoch's rates; 1 but for one schedule."""
        if self.config["schedule"] != "plateau":
            return 1.0
        losses = (metrics["val_loss"] for metrics in self.curve)
        return plateau_factor(losses, epochs=self.recipe.epochs)

    def set_learning_rate(self, scale: float) -> float:
        """Give the optimizer `scale` times the schedule's rate for the coming step."""
        factor = lr_factor(
            str(self.config["schedule"]),
            self.step,
            steps=self.steps_per_epoch * self.recipe.epochs,
            warmup=float(self.config.get("warmup", 0.0)),
        )
        rate = scale * factor * float(self.optimizer.defaults["lr"])
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def clip_gradients(self) -> None:
        """Scale the gradients down to `clip_norm` where they are longer; 0 leaves them alone."""
        longest = float(self.config["clip_norm"])
        if longest > 0:
            nn.utils.clip_grad_norm_(self.model.parameters(), longest)

    def refuse_infinite(self, losses: Tensor, *, first_step: int) -> None:
        """Raise `Diverged` with the first step whose loss is NaN or infinite."""
        wrong = (~torch.isfinite(losses)).nonzero().flatten().tolist()
        if wrong:
            step = first_step + wrong[0] + 1
            epoch = (step - 1) // self.steps_per_epoch + 1
            raise Diverged(epoch=epoch, step=step, loss=losses[wrong[0]].item())

    def checkpoint(self) -> Checkpoint:
        """All of the training as it stands; a copy."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {
                f"optimizer.{index}.{k}": v for k, v in state.items() if isinstance(v, Tensor)
            }
        tensors["random.cpu"] = self.random.cpu
        if self.random.cuda is not None:
            tensors["random.cuda"] = self.random.cuda
        return Checkpoint(
            recipe=self.recipe,
            shape=self.data.shape,
            preparation=self.data.preparation.to_json(),
            fingerprint=self.data.fingerprint,
            epoch=self.epoch,
            step=self.step,
            curve=tuple(self.curve),
            tensors={k: v.detach().to("cpu", copy=True) for k, v in tensors.items()},
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
        self.model.load_state_dict(checkpoint.part("model"))
        self._restore_optimizer(checkpoint.part("optimizer"))
        self.random.cpu = checkpoint.tensors["random.cpu"]
        if self.random.cuda is not None and "random.cuda" in checkpoint.tensors:
            self.random.cuda = checkpoint.tensors["random.cuda"]
        self.epoch, self.step = checkpoint.epoch, checkpoint.step
        self.curve = list(checkpoint.curve)

    def _restore_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        packed = self.optimizer.state_dict()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for key, value in tensors.items():
            index, _, name = key.partition(".")
            parameter = parameters[int(index)]
            if value.shape == parameter.shape:
                # The optimizer's kernels want the parameter's own memory format.
                value = torch.empty_like(parameter).copy_(value)
            packed["state"].setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict(packed)
