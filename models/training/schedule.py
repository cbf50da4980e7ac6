"""How the learning rate goes over the steps of a training. Torch-free."""

from collections.abc import Iterable
from math import cos, inf, pi
from typing import Final

#: The one-cycle schedule starts at a 25th of the rate and peaks after 30 % of the steps, as
#: torch.optim.lr_scheduler.OneCycleLR does.
ONE_CYCLE_START: Final = 1 / 25
ONE_CYCLE_RISE: Final = 0.3
#: The step schedule divides the rate by ten at these shares of the steps (arXiv:1512.03385).
STEP_DROPS: Final = (0.5, 0.75)
#: The plateau schedule divides the rate by ten, as arXiv:1512.03385, section 3.4, does.
PLATEAU_DROP: Final = 0.1
#: What a loss must be better by to count, as a share of the best; torch's.
PLATEAU_THRESHOLD: Final = 1e-4


def lr_factor(schedule: str, step: int, *, steps: int, warmup: float) -> float:
    """What the learning rate is multiplied with at `step`, 0 to ``steps - 1``.

    All but one_cycle, which has its own rise, first rise linearly over a `warmup` share of the
    steps. Within (0, 1] always, so that no step is lost. What plateau makes of losses, which the
    steps do not know, is `plateau_factor`.
    """
    if schedule == "one_cycle":
        rise = ONE_CYCLE_RISE * steps
        if step < rise:
            return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * _half_wave(1 - step / rise)
        return _half_wave((step - rise) / (steps - rise))
    rise = warmup * steps
    if step < rise:
        return min(1.0, (step + 1) / rise)
    if schedule == "cosine":
        return _half_wave((step - rise) / (steps - rise))
    if schedule == "linear":
        return (steps - step) / (steps - rise)
    if schedule == "step":
        return float(0.1 ** sum(step >= drop * steps for drop in STEP_DROPS))
    return 1.0


def plateau_factor(val_losses: Iterable[float], *, epochs: int) -> float:
    """What the rate is multiplied with after epochs of these losses, in a training of `epochs`.

    The rule of torch.optim.lr_scheduler.ReduceLROnPlateau, with a patience of a tenth of the
    epochs, two at least. It follows from the losses alone: a training that goes on needs to
    remember nothing else.
    """
    patience = max(2, epochs // 10)
    factor, best, waited = 1.0, inf, 0
    for loss in val_losses:
        if best == inf or loss < best - PLATEAU_THRESHOLD * abs(best):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            factor, waited = factor * PLATEAU_DROP, 0
    return factor


def _half_wave(progress: float) -> float:
    """From 1 down to 0 as `progress` goes from 0 to 1."""
    return 0.5 * (1 + cos(pi * progress))
