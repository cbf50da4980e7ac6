"""Cross-validation: one network for each fold of the rows, trained side by side.

Where few rows validate, a lucky choice of them decides which configuration looks best. Here every
row validates once, and learns in all other networks; a configuration is judged by the mean. The
networks answer together (bagging: Breiman, Machine Learning 24, 1996; of folds: Krogh and
Vedelsby, NIPS 7, 1995), so that none of the work is thrown away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from models.catalog import ConfigRefused
from models.data.loading import Dataset, Split
from models.imported import own_config
from models.recipe import Recipe
from models.training.checkpoint import Checkpoint
from models.training.entry import full_config
from models.training.members import PREFIX, named
from models.training.pace import Progress, unheard
from models.training.single import ResumeRefused, Training

#: From one member's seed to the next; seeds of a job's trials follow one another.
_SEEDS_APART = 1_000_003


def folds_in(recipe: Recipe, data: Dataset) -> int:
    """The folds the recipe says, or its default for such data.

    Raises:
        ConfigRefused: they are not possible with this data.
    """
    config = full_config(recipe, data.shape, but=own_config(recipe, data.shape))
    folds = int(config["folds"])
    if folds > 1 and not data.shape.exchangeable:
        raise ConfigRefused("folds", folds, "needs rows that may validate or learn: write 1")
    if folds > data.train.rows + data.val.rows:
        raise ConfigRefused("folds", folds, "is more than there are rows")
    return folds


def fold(data: Dataset, number: int, *, of: int) -> Dataset:
    """The data with another part of its rows for validation; the test split stays.

    Rows are dealt out in the order of their targets, so that every fold has its share of each
    class, or of small and large numbers.
    """
    inputs = torch.cat([data.train.inputs, data.val.inputs])
    labels = torch.cat([data.train.labels, data.val.labels])
    mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    mixed = mixed.to(labels.device)
    dealt = mixed[labels[mixed].argsort(stable=True)]
    validates = torch.zeros(len(labels), dtype=torch.bool, device=labels.device)
    validates[dealt[number::of]] = True
    val = Split(inputs=inputs[validates], labels=labels[validates])
    train = Split(inputs=inputs[~validates], labels=labels[~validates])
    shape = replace(data.shape, train_rows=train.rows, val_rows=val.rows)
    return replace(data, train=train, val=val, shape=shape)


@dataclass(slots=True, kw_only=True)
class Committee:
    """Trainings of one recipe, each validated by another fold; an epoch is one of every member."""

    recipe: Recipe
    data: Dataset
    members: list[Training]
    epoch: int = 0
    #: The mean metrics of each epoch so far.
    curve: list[Mapping[str, float]] = field(default_factory=list)

    @classmethod
    def begin(cls, recipe: Recipe, data: Dataset, device: str, *, folds: int) -> "Committee":
        """Before the first step."""
        members = [
            Training.begin(
                replace(recipe, seed=recipe.seed + number * _SEEDS_APART),
                fold(data, number, of=folds),
                device,
            )
            for number in range(folds)
        ]
        return cls(recipe=recipe, data=data, members=members)

    def tell(self, progress: Progress) -> None:
        """Have `progress` hear of epochs that last: of all members' steps together."""
        if progress is unheard:
            return
        for number, member in enumerate(self.members):
            member.tell(partial(self._tell, progress, number))

    def halve_parts(self, halvings: int) -> None:
        """Have every member learn from parts that are so often halved."""
        for member in self.members:
            member.halve_parts(halvings)

    def _tell(self, progress: Progress, number: int, done: int, total: int, loss: float) -> None:
        progress(number * total + done, len(self.members) * total, loss)

    def advance(self) -> dict[str, float]:
        """Train and validate an epoch of every member; the means of their metrics.

        Raises:
            Diverged: a loss became NaN or infinite.
        """
        found = [member.advance() for member in self.members]
        metrics = {name: sum(each[name] for each in found) / len(found) for name in found[0]}
        metrics["seconds"] *= len(found)
        self.epoch += 1
        self.curve.append(metrics)
        self._share_curve()
        return metrics

    def state(self) -> Checkpoint:
        """All members as they stand, and not copied: the tensors they go on with."""
        each = [member.state() for member in self.members]
        tensors: dict[str, Tensor] = {}
        for number, state in enumerate(each):
            tensors |= named(number, state.tensors)
        return replace(
            each[0],
            recipe=self.recipe,
            shape=self.data.shape,
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
        for number, member in enumerate(self.members):
            tensors = checkpoint.part(f"{PREFIX}.{number}")
            member.restore(replace(checkpoint, recipe=member.recipe, tensors=tensors))
        self.epoch, self.curve = checkpoint.epoch, list(checkpoint.curve)
        self._share_curve()

    def _share_curve(self) -> None:
        """What schedules look at is the same for all members; each adds to a list of its own."""
        for member in self.members:
            member.curve = list(self.curve)
