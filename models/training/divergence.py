"""Losses that are no numbers any more."""

import torch
from torch import Tensor


class Diverged(Exception):
    """A loss became NaN or infinite."""

    def __init__(self, *, epoch: int, step: int, loss: float) -> None:
        super().__init__(f"The loss became {loss} at step {step}, in epoch {epoch}.")
        self.epoch = epoch
        self.step = step


def refuse_infinite(losses: Tensor, *, first_step: int, steps_per_epoch: int) -> None:
    """Look at the losses (N,) of the steps after `first_step`.

    Raises:
        Diverged: one is NaN or infinite; it names the first.
    """
    wrong = (~torch.isfinite(losses)).nonzero().flatten().tolist()
    if wrong:
        step = first_step + wrong[0] + 1
        epoch = (step - 1) // steps_per_epoch + 1
        raise Diverged(epoch=epoch, step=step, loss=losses[wrong[0]].item())
