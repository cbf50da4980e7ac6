"""What trainings must have in common to share a program; in words to compare."""

from collections.abc import Collection
from typing import Any, Final

from torch import nn

from models.training.lanes.layers import rate_of
from models.training.lanes.losses import LaneLoss
from models.training.single import Training

#: What layers call the rate at which they drop: it shapes masks, not the program.
_RATES: Final = frozenset({"p", "probability", "dropout"})
_OF_EVERY_MODULE: Final = frozenset(vars(nn.Module()))


def described(training: Training) -> tuple[Any, ...]:
    """All that trainings of one program have in common."""
    learner = training.learner
    return (
        description(learner.model),
        description(learner.loss, but=LaneLoss(learner.loss).own),
        type(learner.optimizer),
        training.batch_size,
        training.steps_per_epoch,
    )


def description(module: nn.Module, *, but: Collection[str] = ()) -> tuple[Any, ...]:
    """Equal where one program computes both: kinds of layers, their settings, shapes and types.

    Of attributes in `but` nothing is said, nor of rates of dropping, but for whether they are 0.
    What cannot be told apart by its `repr` counts as different.
    """
    layers = tuple(
        (name, _kind(layer), rate_of(layer) > 0, _settings(layer, but))
        for name, layer in module.named_modules()
    )
    tensors = tuple(
        (name, tuple(tensor.shape), str(tensor.dtype), tensor.requires_grad)
        for each in (module.named_parameters(), module.named_buffers())
        for name, tensor in each
    )
    return layers, tensors


def _kind(layer: nn.Module) -> str:
    return f"{type(layer).__module__}.{type(layer).__qualname__}"


def _settings(layer: nn.Module, but: Collection[str]) -> tuple[tuple[str, str], ...]:
    dropping = _RATES if rate_of(layer) > 0 else frozenset()
    settings = vars(layer).keys() - _OF_EVERY_MODULE - dropping - set(but)
    # What torch's own layers keep to themselves follows from the rest.
    private = type(layer).__module__.startswith("torch.")
    return tuple(
        (name, repr(vars(layer)[name]))
        for name in sorted(settings)
        if not (private and name.startswith("_"))
    )
