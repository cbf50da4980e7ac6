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
from models.training.lanes.graph import EAGER, Graph
from models.training.lanes.inputs import Batches
from models.training.lanes.noise import Noise
from models.training.lanes.numbers import LaneNumbers
from models.training.lanes.optimizers import rule_of
from models.training.lanes.program import Program
from models.training.lanes.signature import reason, signature
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
        self,
        recipe: Recipe,
        data: Dataset,
        *,
        capacity: int,
        device: str = "cpu",
        graph: Graph = EAGER,
    ) -> None:
        """So many lanes for recipes of the signature of this one; `data` must be on `device`.

        Where their steps cannot be made such a graph they are eager: `why_eager` says so.

        Raises:
            ConfigRefused: a hyperparameter has an impossible value.
            DataRefused: the loss does not take such targets.
            LaneRefused: such trainings go alone; it says why.
        """
        why = reason(recipe, data.shape, device=device)
        if why is not None:
            raise LaneRefused(why)
        self._given, self._device = data, device
        training = self._like = Training.begin(recipe, data, device)
        #: As the loss wants it.
        self._data = training.data
        self._batches = Batches(training)
        self._signature, self._description = signature(recipe, data.shape), described(training)
        self._steps, self._batch_size = training.steps_per_epoch, training.batch_size
        self._capacity = capacity
        self._trainings: dict[int, Training] = {}
        #: Why steps are not carried out as the graph that was asked for.
        self.why_eager: str | None = None
        #: What making the graph took.
        self.graph_seconds = 0.0
        try:
            self._prepare(training)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # Whatever a network of others may raise.
            raise LaneRefused(
                f"{recipe.model} trains alone: as one program it raises {_in_a_line(error)}"
            ) from error
        if graph != EAGER:
            self._become(graph)

    def _prepare(self, training: Training) -> None:
        """Build the program and take a step in lanes without a training."""
        learner, rule = training.learner, rule_of(training.learner.optimizer)
        assert rule is not None, training.recipe.optimizer
        self._stack = Stack(learner, rule, lanes=self._capacity)
        like = self._stack.weights
        inputs = self._batches.like
        with training.random.in_place():
            self._program = Program(learner, rule, self._stack, inputs)
            altered = learner.augment.draw(inputs)
        self._numbers = LaneNumbers(
            learner, rule, self._program.loss, lanes=self._capacity, like=like
        )
        self._noise = Noise(
            altered, self._program.asked, lanes=self._capacity, steps=self._steps, like=like
        )
        self._take_empty_step()
        self._program.answer(inputs)
        for lane in range(self._capacity):
            self._stack.clear(lane)

    def _become(self, graph: Graph) -> None:
        """Have steps carried out as a graph, or else eagerly."""
        began = time.perf_counter()
        self._program.become(graph)
        try:
            self._take_empty_step().tolist()  # waits for a GPU
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            # Whatever a compiler, or the lack of one, may raise; torch wraps it.
            why = getattr(error, "inner_exception", error)
            self.why_eager = f"{graph.kind} raises {_in_a_line(why)}"
            self._program.become(EAGER)
        self.graph_seconds = time.perf_counter() - began
        for lane in range(self._capacity):
            self._stack.clear(lane)

    @property
    def _any_rows(self) -> Tensor:
        return torch.arange(self._batch_size, device=self._data.train.labels.device)

    def _take_empty_step(self) -> Tensor:
        """Take a step that teaches no training anything; the losses."""
        rows = self._any_rows.expand(1, self._capacity, -1)
        return self._learn(rows, [[0.0] * self._capacity], self._trainings)[0]

    def step_seconds(self, steps: int) -> float:
        """Seconds a step of full lanes takes, with what is drawn for it, the median of so many.

        For lanes without trainings.
        """
        assert not self._trainings
        self._like.learner.model.train()
        for lane in range(self._capacity):
            self._noise.seat(lane, self._like.learner, self._batches.like)
            self._trainings[lane] = self._like
        took = []
        for _ in range(steps):
            began = time.perf_counter()
            self._take_empty_step().tolist()  # waits for a GPU
            took.append(time.perf_counter() - began)
        for lane in range(self._capacity):
            self.evict(lane)
        return median(took)

    @property
    def rows_of_a_step(self) -> int:
        """How many rows all lanes learn from in a step."""
        return self._capacity * self._batch_size

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
        if resume is not None and resume.amid_epoch:
            raise LaneRefused("It goes on in the middle of an epoch; lanes train whole ones.")
        why = reason(recipe, self._given.shape, device=self._device)
        if why is not None:
            raise LaneRefused(why)
        training = Training.begin(recipe, self._given, self._device)
        mine = signature(recipe, self._given.shape), described(training)
        if mine != (self._signature, self._description):
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
        self._noise.seat(lane, learner, self._batches.like)
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
        going: Mapping[int, Training],
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
                self._draw(going, min(self._noise.ahead, len(orders) - index))
            inputs, targets = self._batches(rows, self._noise.alterations_of_step(ahead))
            losses[index], correct = self._program.learn(
                inputs,
                targets,
                masks=self._noise.masks_of_step(ahead),
                numbers=self._numbers.of_loss,
                clip_norm=self._numbers.clip_norm,
                factors={name: factor[index] for name, factor in factors.items()},
            )
            right += correct
            pace.after_step(index + 1, losses)
        return losses, right

    def _draw(self, going: Mapping[int, Training], steps: int) -> None:
        for lane, training in going.items():
            if lane in self._trainings:
                with training.random.in_place():
                    self._noise.draw(lane, steps)


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]
