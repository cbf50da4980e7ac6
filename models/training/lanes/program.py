"""What all lanes compute together: a step of learning, and answers.

The network is called once, for all lanes, under `vmap`. Nothing here looks at a lane's numbers, so
that a trial that enters changes data and never the program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from models.augment.chain import leading_classes
from models.training.lanes.graph import Graph, Step
from models.training.lanes.layers import Mask, Masks, for_lanes
from models.training.lanes.losses import LaneLoss
from models.training.lanes.optimizers import Rule
from models.training.lanes.stack import Stack
from models.training.learner import Learner
from models.training.precision import in_full


class Program:
    """Learns and answers for all learners of a stack."""

    def __init__(self, learner: Learner, rule: Rule, stack: Stack, inputs: Tensor) -> None:
        """Of learners like this one, whose batches are like `inputs`, prepared.

        Torch's global generator is left as it was, as is the learner.
        """
        self._stack, self._rule = stack, rule
        self._masks = Masks()
        self._network = for_lanes(learner.model, self._masks).train()
        self.loss = LaneLoss(learner.loss)
        with torch.no_grad():
            self._network(inputs)
        # Shapes alone are needed from here on: the weights are given in every call.
        self._network.to("meta")
        self._step: Step = self._take_step

    @property
    def asked(self) -> Sequence[Mask]:
        """The masks a pass needs."""
        return self._masks.asked

    def learn(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        masks: Sequence[Tensor],
        numbers: Mapping[str, Tensor],
        clip_norm: Tensor,
        factors: Mapping[str, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Take a step in every lane; the losses (K,), and how many were right (K,).

        Of batches (K, B, …) with masks (K, …), numbers of the loss (K, …), lengths (K, 1) that
        gradients are scaled down to, 0 for none, and factors (K, 1) of the optimizer's rule.
        """
        state = (self._stack.weights, self._stack.buffers, self._stack.memory)
        return self._step(state, (inputs, targets, tuple(masks), numbers, clip_norm, factors))

    def become(self, graph: Graph) -> None:
        """Have steps carried out as this graph, which the next one makes."""
        self.loss = replace(self.loss, compiled=graph.kind == "compile")

        def make(state: Any, given: Any) -> tuple[Tensor, Tensor]:
            self._step = graph.of(self._take_step, state, given)
            return self._step(state, given)

        self._step = make

    def _take_step(self, state: Any, given: Any) -> tuple[Tensor, Tensor]:
        """Changes the state, and nothing else; reads nothing that is not given."""
        held, buffers, memory = state
        inputs, targets, masks, numbers, clip_norm, factors = given
        weights = held.detach().requires_grad_()
        losses, right = vmap(self._losses)(
            self._stack.named(weights), buffers, inputs, targets, masks, numbers
        )
        # Of a sum each lane's gradient is its own, whatever the others' losses are.
        (gradients,) = torch.autograd.grad(losses.sum(), weights)
        with torch.no_grad():
            _clip(gradients, clip_norm)
            self._rule.update(held, gradients, memory, factors, self._stack.decayed)
        return losses.detach(), right

    @torch.no_grad()
    def answer(self, inputs: Tensor) -> Tensor:
        """All lanes' outputs (K, B, …) for the same inputs (B, …)."""
        self._network.eval()
        outputs = vmap(self._outputs, in_dims=(0, 0, None))(
            self._stack.named(self._stack.weights), self._stack.buffers, inputs
        )
        self._network.train()
        return in_full(outputs)

    def _outputs(
        self, weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor], inputs: Tensor
    ) -> Tensor:
        outputs: Tensor = functional_call(self._network, {**weights, **buffers}, (inputs,))
        return outputs

    def _losses(
        self,
        weights: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        inputs: Tensor,
        targets: Tensor,
        masks: Sequence[Tensor],
        numbers: Mapping[str, Tensor],
    ) -> tuple[Tensor, Tensor]:
        self._masks.give(masks)
        outputs = self._outputs(weights, buffers, inputs)
        loss = self.loss(in_full(outputs), targets, numbers)
        return loss, (outputs.argmax(1) == leading_classes(targets)).sum()


def _clip(gradients: Tensor, clip_norm: Tensor) -> None:
    """As torch.nn.utils.clip_grad_norm_, lane by lane."""
    lengths = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
    shares = (clip_norm / (lengths + 1e-6)).clamp(max=1.0)
    gradients.mul_(torch.where(clip_norm > 0, shares, torch.ones_like(shares)))
