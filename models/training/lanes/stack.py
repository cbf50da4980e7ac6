"""The tensors of many trainings, stacked: a training in a lane owns a row of each."""

from collections.abc import Iterator, Mapping
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from models.training.lanes.optimizers import Rule
from models.training.learner import Learner


class Stack:
    """Weights (K, P), buffers (K, …) and the optimizer's memory (K, P), of learners of one shape.

    A learner that is seated is an ordinary one: its tensors are views of its row, and whatever
    reads or writes them, a checkpoint for one, does not know of the others.
    """

    def __init__(self, learner: Learner, rule: Rule, *, lanes: int) -> None:
        self._rule = rule
        parameters = trained_parameters(learner)
        names = {id(parameter): name for name, parameter in learner.model.named_parameters()}
        like = parameters[0]
        self._ends = list(accumulate((p.numel() for p in parameters), initial=0))
        self.names = [names[id(parameter)] for parameter in parameters]
        self.shapes = [parameter.shape for parameter in parameters]
        #: The first of the columns are those that decay.
        self.decayed = sum(p.numel() for p in learner.optimizer.param_groups[0]["params"])
        self.weights = like.new_zeros(lanes, self._ends[-1])
        self.memory = {name: torch.zeros_like(self.weights) for name in rule.memory}
        self.steps = torch.zeros(lanes, device=like.device, dtype=torch.float32)
        #: All else the network has: what it counts, and what does not learn.
        self.buffers = {
            name: tensor.new_zeros(lanes, *tensor.shape) for name, tensor in constants_of(learner)
        }

    def seat(self, lane: int, learner: Learner) -> None:
        """The learner's tensors are from now on those of the lane's row."""
        self.clear(lane)
        for name, tensor in constants_of(learner):
            tensor.data = self.buffers[name][lane].copy_(tensor.data)
        group, columns = learner.optimizer.param_groups[0], pairwise(self._ends)
        for parameter, (start, end) in zip(trained_parameters(learner), columns, strict=True):
            parameter.data = self._row(self.weights, lane, start, end, parameter)
            state = learner.optimizer.state[parameter]
            if self._rule.counts:
                step = self.steps[lane]
                state["step"] = step.copy_(state["step"]) if "step" in state else step
            for name, memory in self.memory.items():
                if self._rule.remembers(name, group):
                    known = state.get(name, torch.zeros_like(parameter))
                    state[name] = self._row(memory, lane, start, end, known)

    def clear(self, lane: int) -> None:
        """Nothing is in the lane's row."""
        for tensor in (self.weights, self.steps, *self.memory.values(), *self.buffers.values()):
            tensor[lane] = 0

    def named(self, weights: Tensor) -> Mapping[str, Tensor]:
        """The parameters (K, …) by name, as views of weights (K, P)."""
        parts = torch.split(weights, [end - start for start, end in pairwise(self._ends)], 1)
        return {
            name: part.view(len(part), *shape)
            for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }

    def _row(self, matrix: Tensor, lane: int, start: int, end: int, like: Tensor) -> Tensor:
        return matrix[lane, start:end].view(like.shape).copy_(like.data)


def trained_parameters(learner: Learner) -> list[nn.Parameter]:
    """In the order in which the optimizer counts them."""
    return [p for group in learner.optimizer.param_groups for p in group["params"]]


def constants_of(learner: Learner) -> Iterator[tuple[str, Tensor]]:
    """Buffers, and parameters that do not learn."""
    trained = {id(parameter) for parameter in trained_parameters(learner)}
    yield from learner.model.named_buffers()
    for name, parameter in learner.model.named_parameters():
        if id(parameter) not in trained:
            yield name, parameter
