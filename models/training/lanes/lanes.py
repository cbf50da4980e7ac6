"""Trainings side by side, each in a lane of its own, entering and leaving between epochs."""

import time
from collections.abc import Mapping
from statistics import median

import torch
from torch import Tensor

from models.data.loading import Dataset
from models.recipe import Recipe
from models.training.checkpoint import Checkpoint
from models.training.divergence import Diverged
from models.training.lanes.description import described
from models.training.lanes.inputs import Inputs
from models.training.lanes.noise import Noise
from models.training.lanes.numbers import LaneNumbers
from models.training.lanes.optimizers import rule_of
from models.training.lanes.program import Program
from models.training.lanes.signature import reason
from models.training.lanes.stack import Stack
from models.training.lanes.validation import evaluate_lanes
from models.training.pace import LanesProgress, Pace, unheard
from models.training.single import Training
from models.training.train import Epoch


class LaneRefused(Exception):
    """This training cannot go in a lane, or not beside those that are there."""


class Lanes:
    """Places for trainings that learn as one program.

    Each training is what it would be alone: its own weights, order of rows, masks, schedule,
    metrics and checkpoints, up to rounding. Whatever happens in one lane, no bit changes in
    another. Not for two threads at once.
    """

    def __init__(
        self, recipe: Recipe, data: Dataset, *, capacity: int, device: str = "cpu"
    ) -> None:
        """So many lanes for recipes of the signature of this one; `data` must be on `device`.

        Raises:
            ConfigRefused: a hyperparameter has an impossible value.
            DataRefused: the loss does not take such targets.
            LaneRefused: such trainings go alone; it says why.
        """
        why = reason(recipe, data.shape, device=device)
        if why is not None:
            raise LaneRefused(why)
        self._given, self._device = data, device
        training = Training.begin(recipe, data, device)
        #: As the loss wants it.
        self._data = training.data
        self._inputs = Inputs(training.data)
        self._description = described(training)
        self._steps, self._batch_size = training.steps_per_epoch, training.batch_size
        self._capacity = capacity
        self._trainings: dict[int, Training] = {}
        try:
            self._prepare(training)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # Whatever a network of others may raise.
            said = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise LaneRefused(
                f"{recipe.model} trains alone: as one program it raises {said}"
            ) from error

    def _prepare(self, training: Training) -> None:
        """Build the program and take a step in lanes without a training."""
        learner, rule = training.learner, rule_of(training.learner.optimizer)
        assert rule is not None, training.recipe.optimizer
        self._stack = Stack(learner, rule, lanes=self._capacity)
        like = self._stack.weights
        rows = torch.arange(self._batch_size, device=like.device)
        with training.random.in_place():
            self._program = Program(learner, rule, self._stack, self._batches(rows)[0])
        self._numbers = LaneNumbers(
            learner, rule, self._program.loss, lanes=self._capacity, like=like
        )
        self._noise = Noise(self._program.asked, lanes=self._capacity, steps=self._steps, like=like)
        self._learn(rows.expand(1, self._capacity, -1), [[0.0] * self._capacity])
        self._program.answer(self._batches(rows)[0])
        for lane in range(self._capacity):
            self._stack.clear(lane)

    def step_seconds(self, steps: int) -> float:
        """Seconds a step of all lanes takes, the median of so many; for lanes without trainings."""
        assert not self._trainings
        rows = torch.arange(self._batch_size, device=self._stack.weights.device)
        took = []
        for _ in range(steps):
            began = time.perf_counter()
            losses, _right = self._learn(
                rows.expand(1, self._capacity, -1), [[0.0] * self._capacity]
            )
            losses.tolist()  # waits for a GPU
            took.append(time.perf_counter() - began)
        for lane in range(self._capacity):
            self._stack.clear(lane)
        return median(took)

    @property
    def free(self) -> list[int]:
        """The lanes without a training."""
        return [lane for lane in range(self._capacity) if lane not in self._trainings]

    def admit(self, lane: int, recipe: Recipe, *, resume: Checkpoint | None = None) -> None:
        """Have the recipe trained in a free lane, from the start or from where `resume` stands.

        Raises:
            ConfigRefused: a hyperparameter has an impossible value.
            LaneRefused: it is of another signature, or goes alone.
            ResumeRefused: `resume` is of another recipe or other data.
        """
        assert lane in self.free, lane
        why = reason(recipe, self._given.shape, device=self._device)
        if why is not None:
            raise LaneRefused(why)
        training = Training.begin(recipe, self._given, self._device)
        if described(training) != self._description:
            raise LaneRefused(
                f"A {recipe.model} with {dict(recipe.config)} is another program than that of "
                "these lanes: trials of one program differ in nothing that shapes it."
            )
        if resume is not None:
            training.restore(resume)
        learner = training.learner
        learner.model.train()
        self._stack.seat(lane, learner)
        self._numbers.seat(lane, learner)
        self._noise.seat(lane, learner.model)
        self._trainings[lane] = training

    def evict(self, lane: int) -> None:
        """Free the lane; its training is over, or goes on elsewhere from a checkpoint."""
        del self._trainings[lane]
        self._stack.clear(lane)
        self._noise.clear(lane)

    def advance(self, *, progress: LanesProgress = unheard) -> dict[int, Epoch | Diverged]:
        """Train an epoch in every lane that has one left; by lane what it brought.

        `progress` hears how far it is, as `Pace` has it, with a mean for each lane, K in all. A
        lane that it evicts brings nothing, and nothing changes for the others.
        ``seconds`` of an epoch are those of all lanes together. A lane that diverged is free again.
        Checkpoints are to be called before the lane is freed or the next epoch is asked for.
        """
        began = time.perf_counter()
        going = {
            lane: training
            for lane, training in self._trainings.items()
            if training.epoch < training.recipe.epochs
        }
        if not going:
            return {}
        rates = self._rates(going)
        losses, right = self._learn(self._orders(going), rates, going, progress)
        going = {lane: training for lane, training in going.items() if lane in self._trainings}
        if not going:
            return {}
        for lane, training in going.items():
            training.step += self._steps
            self._stack.steps[lane] += self._steps
        losses, right = losses.cpu(), right.cpu()
        trained = time.perf_counter()
        scores = evaluate_lanes(self._program, list(going.items()))
        found: dict[int, Epoch | Diverged] = {}
        for (lane, training), score in zip(going.items(), scores, strict=True):
            try:
                metrics = training.learned(losses[:, lane], right[lane], rate=rates[-1][lane])
                metrics = training.end_epoch(metrics, score, began=began, trained=trained)
            except Diverged as error:
                self.evict(lane)
                found[lane] = error
            else:
                found[lane] = Epoch(index=training.epoch, metrics=metrics, state=training.state)
        return found

    def _orders(self, going: Mapping[int, Training]) -> Tensor:
        """The rows of each step in each lane (S, K, B), drawn by each training."""
        orders = torch.zeros(self._steps, self._capacity, self._batch_size, dtype=torch.int64)
        for lane, training in going.items():
            with training.random.in_place():
                orders[:, lane] = training.draw_order()
        return orders.to(self._stack.weights.device)

    def _rates(self, going: Mapping[int, Training]) -> list[list[float]]:
        """The learning rate of each step in each lane, S lists of K."""
        rates = [[0.0] * self._capacity for _ in range(self._steps)]
        for lane, training in going.items():
            schedule, scale = training.learning_rate, training.plateau_scale
            for index, at_once in enumerate(rates):
                at_once[lane] = schedule.at(training.step + index, scale=scale)
        return rates

    def _learn(
        self,
        orders: Tensor,
        rates: list[list[float]],
        going: Mapping[int, Training] | None = None,
        progress: LanesProgress = unheard,
    ) -> tuple[Tensor, Tensor]:
        """Take the steps that `orders` name; their losses (S, K), and how many were right (K,)."""
        factors = self._numbers.factors(rates, self._stack.steps)
        losses = self._stack.weights.new_empty(len(orders), self._capacity)
        pace = Pace(progress)
        pace.begin_epoch()
        right = torch.zeros(self._capacity, dtype=torch.int64, device=losses.device)
        for index, rows in enumerate(orders):
            ahead = index % self._noise.ahead
            if ahead == 0:
                self._draw_masks(going or {}, min(self._noise.ahead, len(orders) - index))
            inputs, targets = self._batches(rows)
            losses[index], correct = self._program.learn(
                inputs,
                targets,
                masks=self._noise.of_step(ahead),
                numbers=self._numbers.of_loss,
                clip_norm=self._numbers.clip_norm,
                factors={name: factor[index] for name, factor in factors.items()},
            )
            right += correct
            pace.after_step(index + 1, losses)
        return losses, right

    def _draw_masks(self, going: Mapping[int, Training], steps: int) -> None:
        if self._program.asked:
            for lane, training in going.items():
                if lane in self._trainings:
                    with training.random.in_place():
                        self._noise.draw(lane, steps)

    def _batches(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The training rows of these numbers (…, B), as a network and a loss want them."""
        numbers = rows.flatten()
        targets = self._data.targets(self._data.train.labels.index_select(0, numbers))
        return _divided(self._inputs(numbers), rows.shape), _divided(targets, rows.shape)


def _divided(rows: Tensor, shape: torch.Size) -> Tensor:
    # Not reshaped: images are channels last, and stay so.
    divided: Tensor = rows.unflatten(0, shape)  # type: ignore[no-untyped-call]
    return divided
