"""Between which learning rates a network learns: the range test of Smith, arXiv:1506.01186.

Section 3.3 there: train while the rate rises from far too small to far too large; the range is
from where the loss begins to fall to where it begins to rise. As is common since, the rate rises by
the same factor at each step, and the test ends where the loss has left for good. The default is a
quarter of the upper bound: the best rate, that section says, is usually within a factor of two of
the largest one that converges, and its cycles begin at a third or a quarter of it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Final

from torch import Tensor

from models.data.loading import Dataset
from models.recipe import Recipe
from models.training.lanes.throughput import alone_seconds
from models.training.single import Training

LOWEST: Final = 1e-7
#: Beyond 10 a sweep gets only where the loss has not left, as with outputs that are scaled down.
HIGHEST: Final = 1e3
#: Steps of a sweep through the rates, and how many sweeps are averaged: as many as time allows.
SWEEPS: Final = ((125, 3), (125, 1), (60, 1), (30, 1))
#: Seconds that all of them may take.
MOST_SECONDS: Final = 20.0
#: A loss is averaged with so many on either side of it.
_NEIGHBOURS: Final = 4
#: The loss has left where it is so much farther above its least than that is from 0, or than it
#: had fallen: one that is positive and has not fallen, at four times its least.
_LEFT: Final = 3.0
#: A loss that falls by less than so many times what it scatters has not fallen.
_CLEAR: Final = 3.0
#: It has begun to fall where it has lost this share of what it loses in all; and to rise where it
#: has got that much back.
_BEGUN: Final = 0.1
#: A sweep is short, and late steps of a training want smaller rates: a range spans this factor at
#: least.
_SPAN: Final = 100.0
_DEFAULT: Final = 0.25

_NEVER: Final = f"No learning rate from {LOWEST:g} to {HIGHEST:g} made the training loss fall."

#: Learning rates, and the loss that the step with each began from.
Curve = list[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRates:
    """The bounds of a range and its default."""

    low: float
    high: float
    default: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTest:
    """What a range test found."""

    #: None where there is no range to be found.
    found: LearningRates | None
    curve: Curve
    #: Why nothing was found, as a sentence.
    reason: str = _NEVER

    def to_json(self) -> dict[str, Any]:
        """``low``, ``high``, ``default`` and ``log``, or ``reason``; a part of the ``curve``."""
        every = max(1, len(self.curve) // 25)
        curve = [[_short(rate), _short(loss)] for rate, loss in self.curve[::every]]
        if self.found is None:
            return {"reason": self.reason, "curve": curve}
        low, high, default = self.found.low, self.found.high, self.found.default
        return {"low": low, "high": high, "default": default, "log": True, "curve": curve}


def range_test(
    recipe: Recipe, data: Dataset, *, device: str = "cpu", halvings: int = 0
) -> RangeTest:
    """Between which learning rates the recipe's network learns, whatever rate it says.

    Networks of the test's own take the steps, and nothing is left of them. Only training rows are
    looked at. The same recipe finds the same, unless a step takes so long that there is no time for
    all of them. `data` must be on `device`; a part of a batch that is in memory at once is halved
    `halvings` times.

    Raises:
        ConfigRefused: a hyperparameter has an impossible value.
        DataRefused: the loss does not take such labels.
        PartRefused: a part by import path is not there, or not what it should be.
    """

    def begun(seed: int) -> Training:
        training = Training.begin(replace(recipe, seed=seed), data, device)
        training.halve_parts(halvings)
        return training

    seconds = alone_seconds(begun(recipe.seed), 1)
    affordable = [s for s in SWEEPS if s[0] * s[1] * seconds <= MOST_SECONDS]
    if not affordable:
        reason = f"A step takes {seconds:.1f} s: too long to try many learning rates."
        return RangeTest(found=None, reason=reason, curve=[])
    steps, sweeps = affordable[0]
    return judged([_swept(begun(recipe.seed + number), steps) for number in range(sweeps)])


def _swept(training: Training, steps: int) -> Curve:
    """Train with rates from `LOWEST` to `HIGHEST`; it ends early where the loss has left."""
    curve: Curve = []
    least, batches = math.inf, _batches(training)
    training.learner.model.train()
    with training.random.in_place():
        for number in range(steps):
            rate = LOWEST * (HIGHEST / LOWEST) ** (number / (steps - 1))
            for group in training.learner.optimizer.param_groups:
                group["lr"] = rate
            loss = training.take_step(next(batches))[0].item()
            least = min(least, loss)
            first = curve[0][1] if curve else loss
            if not math.isfinite(loss) or loss - least > _LEFT * max(abs(least), first - least):
                break
            curve.append((rate, loss))
    return curve


def _batches(training: Training) -> Iterator[Tensor]:
    """The rows of one step after the other, for ever."""
    while True:
        yield from training.draw_order().to(training.data.train.labels.device)


def judged(curves: Sequence[Curve]) -> RangeTest:
    """What follows from sweeps over the same rates, as far as the shortest goes."""
    length = min(map(len, curves))
    rates = [rate for rate, _ in curves[0][:length]]
    losses = [fmean(curve[place][1] for curve in curves) for place in range(length)]
    return RangeTest(found=_rates(rates, losses), curve=list(zip(rates, losses, strict=True)))


def _rates(rates: Sequence[float], losses: Sequence[float]) -> LearningRates | None:
    """The range in which the losses fall, and do not rise yet; None if they never fall."""
    smooth = _smoothed(losses)
    least = min(range(len(smooth)), key=smooth.__getitem__, default=0)
    if least == 0:
        return None
    fallen = smooth[0] - smooth[least]
    scatter = fmean(abs(losses[place] - smooth[place]) for place in range(least))
    if fallen <= _CLEAR * scatter:
        return None
    clear = _BEGUN * fallen
    falls = next(place for place, loss in enumerate(smooth) if smooth[0] - loss >= clear)
    rising = (p for p in range(least, len(smooth)) if smooth[p] - smooth[least] > clear)
    high = rates[next(rising, len(rates)) - 1]
    low = min(rates[falls], high / _SPAN)
    return LearningRates(low=_short(low), high=_short(high), default=_short(high * _DEFAULT))


def _smoothed(losses: Sequence[float]) -> list[float]:
    """Each averaged with its neighbours; nothing is put off, since all are known."""
    return [
        fmean(losses[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS + 1])
        for place in range(len(losses))
    ]


def _short(number: float) -> float:
    """To three digits: more of them say nothing."""
    return float(f"{number:.3g}")
