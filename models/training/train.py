"""Training, one epoch at a time. It yields; whoever calls decides what becomes of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from models.data.loading import Dataset
from models.recipe import Recipe
from models.training.checkpoint import Checkpoint
from models.training.committee import Committee, folds_in
from models.training.divergence import Diverged
from models.training.pace import Progress, unheard
from models.training.single import ResumeRefused, Training

__all__ = ["Diverged", "Epoch", "Interrupted", "ResumeRefused", "Training", "begin", "train"]


class Interrupted(Exception):
    """To be raised by what hears of a training's progress, to end it in the middle of an epoch."""

    #: All of the training as it stands there, not copied; None where it goes on from its last
    #: epoch: in lanes, and of a committee, whose members are at different places.
    state: Callable[[], Checkpoint] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What an epoch brought. Of `train_` metrics, means over its steps while it learned."""

    #: The first is 1.
    index: int
    #: ``train_loss``, ``train_accuracy`` where the target is a class, ``val_loss`` and ``val_`` of
    #: every metric that fits the target, ``learning_rate`` (of the last step), ``seconds`` (with
    #: validation) and ``samples_per_second`` (without). The time of an epoch that was interrupted
    #: is that of all who trained it.
    metrics: Mapping[str, float]
    #: All of the training as it stands, not copied: whole until the next epoch is asked for.
    state: Callable[[], Checkpoint]

    def checkpoint(self, into: Checkpoint | None = None) -> Checkpoint:
        """A copy, to be made before the next epoch is asked for; see `Checkpoint.copied`."""
        return self.state().copied(into)


def train(
    recipe: Recipe,
    data: Dataset,
    *,
    resume: Checkpoint | None = None,
    device: str = "cpu",
    progress: Progress = unheard,
    halvings: int = 0,
) -> Iterator[Epoch]:
    """Train by the recipe, from the start or from where `resume` stands.

    On a CPU with one thread the curve depends on recipe and data alone, to the last bit, whether
    it was interrupted or not. `data` must be on `device`. `progress` is called between steps of an
    epoch that lasts, every second; what it raises ends the training there, and of `Interrupted` it
    is told where that is: `resume` takes such a checkpoint like any other. With `halvings` the
    batches are the same, but a part of them in memory at once is so often halved.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        DataRefused: the loss does not take such targets.
        Diverged: a loss became NaN or infinite; noticed at the end of its epoch.
        PartRefused: a part by import path is not there, or not what it should be.
        ResumeRefused: `resume` is of another recipe or other data.
    """
    training = begin(recipe, data, device)
    training.tell(progress)
    training.halve_parts(halvings)
    if resume is not None:
        training.restore(resume)
    while training.epoch < recipe.epochs:
        try:
            metrics = training.advance()
        except Interrupted as interrupted:
            if isinstance(training, Training):
                interrupted.state = training.state
            raise
        yield Epoch(index=training.epoch, metrics=metrics, state=training.state)


def begin(recipe: Recipe, data: Dataset, device: str) -> Training | Committee:
    """The training before its first step: of one network, or of one for each fold of the rows."""
    folds = folds_in(recipe, data)
    if folds == 1:
        return Training.begin(recipe, data, device)
    return Committee.begin(recipe, data, device, folds=folds)
