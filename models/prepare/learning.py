"""How a preparer learns from training rows, and what it must be."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from models.entries import preparer_entry
from models.hyperparameters import Config
from models.imported import arguments_for, built, preparer_at
from models.importing import PartRefused

#: Rows that are asked about a second time.
_FEW: Final = 16

T = TypeVar("T")


def build_preparer(name: str, arguments: Config, inputs: Tensor, *, flagged: bool) -> nn.Module:
    """The preparer of examples such as `inputs` (N, …), before it has learned.

    Raises:
        PartRefused: it is not there, no nn.Module, or refuses its arguments.
    """
    part = preparer_at(preparer_entry(name).build)
    given: dict[str, Any] = {"input_shape": tuple(inputs.shape[1:]), "flagged": flagged}
    module: nn.Module = built(name, part, (), arguments_for(part, {**arguments, **given}))
    return module.requires_grad_(requires_grad=False).eval()


@torch.no_grad()
def unlearned(
    name: str, arguments: Config, inputs: Tensor, *, flagged: bool
) -> tuple[nn.Module, Tensor]:
    """The preparer before it has learned, whose state is to be loaded, and what it makes of zeros:
    of the shape of its answers.

    Raises:
        PartRefused: it is not there, or does not do what a preparer has to.
    """
    module = build_preparer(name, arguments, inputs, flagged=flagged)
    zeros = torch.zeros_like(inputs[:2])
    return module, _asked(name, "forward", lambda: module(zeros))


@torch.no_grad()
def learned(
    name: str, arguments: Config, inputs: Tensor, *, flagged: bool
) -> tuple[nn.Module, Tensor]:
    """The preparer after its ``fit``, if it has one, on training rows `inputs` (N, …), and what it
    makes of them.

    Raises:
        PartRefused: it is not there, or does not do what a preparer has to.
    """
    module = build_preparer(name, arguments, inputs, flagged=flagged)
    before = inputs.clone()
    fit = getattr(module, "fit", None)
    if callable(fit):
        _asked(name, "fit", lambda: fit(inputs))
    outputs: Tensor = _asked(name, "forward", lambda: module(inputs))
    if not torch.equal(before, inputs):
        raise PartRefused(f"{name} writes to the rows it is given; give others.")
    complaint = _complaint(inputs, outputs)
    if complaint is not None:
        raise PartRefused(f"{name} {complaint}")
    twin, blank = unlearned(name, arguments, inputs, flagged=flagged)
    if blank.shape[1:] != outputs.shape[1:]:
        raise PartRefused(
            f"{name} makes examples of shape {tuple(outputs.shape[1:])}, but before it has learned "
            f"of shape {tuple(blank.shape[1:])}; let the shape follow from the constructor."
        )
    _refuse_unlike(name, module, twin, inputs, outputs)
    return module, outputs


def _asked(name: str, what: str, answer: Callable[[], T]) -> T:
    try:
        return answer()
    except Exception as error:
        # Whatever others' code may raise.
        raise PartRefused(f"{name}: its {what} raised {type(error).__name__}: {error}") from error


def _complaint(inputs: Tensor, outputs: Any) -> str | None:
    """What is wrong with answers, as a sentence without its subject."""
    if not isinstance(outputs, Tensor):
        return f"gave a {type(outputs).__name__}; a preparation gives a tensor."
    if outputs.shape[:1] != inputs.shape[:1]:
        return (
            f"made a batch of shape {tuple(outputs.shape)} of {len(inputs):,} examples; give one "
            "answer for each."
        )
    if outputs.dim() != inputs.dim():
        return (
            f"made examples of shape {tuple(outputs.shape[1:])} of such of shape "
            f"{tuple(inputs.shape[1:])}; keep the number of dimensions."
        )
    if outputs.dtype != inputs.dtype:
        return f"gave {outputs.dtype} for {inputs.dtype}; keep the type."
    if not outputs.isfinite().all():
        return "answers NaN or infinity for training rows; give finite numbers."
    return None


def _refuse_unlike(
    name: str, module: nn.Module, twin: nn.Module, inputs: Tensor, outputs: Tensor
) -> None:
    """Refuse what answers otherwise in other company, or once its state was saved and loaded."""
    few = inputs[: max(1, min(_FEW, len(inputs) // 2))]
    alone = _asked(name, "forward", lambda: module(few))
    if not _alike(alone, outputs[: len(few)]):
        raise PartRefused(
            f"{name} answers the same rows otherwise in a smaller batch, or at random; let each "
            "answer follow from its row, and learn what is common in fit."
        )
    try:
        twin.load_state_dict(module.state_dict())
    except RuntimeError as error:
        raise PartRefused(
            f"{name} cannot load its own state: {' '.join(str(error).split())} Register all "
            "buffers in __init__, in their size; fit fills them."
        ) from error
    if not _alike(_asked(name, "forward", lambda: twin(few)), alone):
        raise PartRefused(
            f"{name} answers otherwise once its state was saved and loaded; keep what fit learns "
            "in buffers: register_buffer in __init__, copy_ in fit."
        )


def _alike(left: Tensor, right: Tensor) -> bool:
    return left.shape == right.shape and torch.allclose(left, right, rtol=1e-3, atol=1e-4)
