"""What differs between lanes, as tensors: a row for each."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from models.training.lanes.losses import LaneLoss
from models.training.lanes.optimizers import Rule
from models.training.learner import Learner

#: Of lanes without a training, whose rate is 0: a number with which nothing is divided by 0.
_OF_NOBODY = 0.5


class LaneNumbers:
    """The numbers of each lane's optimizer, loss and clipping."""

    def __init__(
        self, learner: Learner, rule: Rule, loss: LaneLoss, *, lanes: int, like: Tensor
    ) -> None:
        self._rule, self._loss = rule, loss
        group = learner.optimizer.param_groups[0]
        self._of_optimizer = {
            name: torch.full((lanes,), _OF_NOBODY, dtype=torch.float64, device=like.device)
            for name in rule.numbers(group)
        }
        #: (K, …) by name.
        self.of_loss = {
            name: like.new_full((lanes, *number.shape), _OF_NOBODY)
            for name, number in loss.numbers_of(learner.loss).items()
        }
        #: (K, 1).
        self.clip_norm = like.new_zeros(lanes, 1)

    def seat(self, lane: int, learner: Learner) -> None:
        """The lane has the learner's numbers."""
        for name, number in self._rule.numbers(learner.optimizer.param_groups[0]).items():
            self._of_optimizer[name][lane] = number
        for name, tensor in self._loss.numbers_of(learner.loss).items():
            self.of_loss[name][lane] = tensor
        self.clip_norm[lane] = learner.clip_norm

    def factors(self, rates: Sequence[Sequence[float]], taken: Tensor) -> Mapping[str, Tensor]:
        """What the optimizer's rule computes with at each of the steps (S, K, 1), by name.

        Of each step's rates (S, K) in lanes that have taken so many steps (K,).
        """
        each = torch.tensor(rates, dtype=torch.float64).to(taken.device)
        counts = taken.double() + torch.arange(1, len(each) + 1, device=each.device).unsqueeze(1)
        factors = self._rule.factors(self._of_optimizer, each, counts)
        return {n: f.to(self.clip_norm.dtype).unsqueeze(-1) for n, f in factors.items()}
