"""How well the networks of all lanes do on the rows that validate."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.func import vmap

from models.losses.numbers import NumberLoss
from models.training.lanes.losses import LaneLoss
from models.training.lanes.program import Program
from models.training.metrics import Tally, TextTally, class_metrics_of_each
from models.training.single import Training

#: For one batch in training so many in validation, which keeps nothing for gradients.
_BATCHES_AT_ONCE = 4


def evaluate_lanes(
    program: Program, trainings: Sequence[tuple[int, Training]]
) -> list[dict[str, float]]:
    """Of each training, with its lane, the scores that it would find alone."""
    _, first = trainings[0]
    data, rows = first.data, first.data.val
    lanes = torch.tensor([lane for lane, _ in trainings], device=rows.labels.device)
    tallies = _tallies(first, len(trainings))
    criterion = LaneLoss(first.val_loss)
    each = [criterion.numbers_of(training.val_loss) for _, training in trainings]
    numbers = {name: torch.stack([own[name] for own in each]).to(lanes.device) for name in each[0]}
    total = torch.zeros(len(trainings), dtype=torch.float64, device=rows.labels.device)
    losses = vmap(criterion, (0, None, 0))
    chunk = _BATCHES_AT_ONCE * first.batch_size
    for start in range(0, rows.rows, chunk):
        targets = data.targets(rows.labels[start : start + chunk])
        outputs = program.answer(data.prepared(rows.inputs[start : start + chunk]))[lanes]
        total += losses(outputs, targets, numbers).double() * len(targets)
        tallies.add(_answers(first, outputs), targets)
    means = (total / rows.rows).tolist()
    return [{"loss": mean, **own} for mean, own in zip(means, tallies.metrics(), strict=True)]


def _answers(training: Training, outputs: Tensor) -> Tensor:
    """Predictions of numbers (K, B), or outputs (K, B, …) as they are."""
    criterion = training.val_loss
    if isinstance(criterion, NumberLoss):
        return criterion.predictions(outputs.flatten(0, 1)).view(outputs.shape[:2])
    return outputs


def _tallies(training: Training, count: int) -> "_OfClasses | _OfEach":
    """For so many trainings like this one."""
    data, loss = training.data, training.recipe.loss
    if data.shape.classes and data.shape.kind != "text":
        return _OfClasses(loss)
    return _OfEach([Tally.of(data.shape, unit=data.preparation.unit) for _ in range(count)])


@dataclass(slots=True)
class _OfClasses:
    """All lanes' logits, whose metrics are computed at once."""

    loss: str
    answers: list[Tensor] = field(default_factory=list)
    targets: list[Tensor] = field(default_factory=list)

    def add(self, answers: Tensor, targets: Tensor) -> None:
        self.answers.append(answers)
        self.targets.append(targets)

    def metrics(self) -> list[dict[str, float]]:
        answers, targets = torch.cat(self.answers, 1), torch.cat(self.targets)
        return class_metrics_of_each(answers, targets, loss=self.loss)


@dataclass(slots=True)
class _OfEach:
    """A tally for each lane."""

    each: list[Tally | TextTally]

    def add(self, answers: Tensor, targets: Tensor) -> None:
        for tally, own in zip(self.each, answers, strict=True):
            tally.add(own, targets)

    def metrics(self) -> list[dict[str, float]]:
        return [tally.metrics() for tally in self.each]
