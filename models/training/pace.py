"""How far an epoch is: told while it lasts, where it lasts long."""

import math
import time
from collections.abc import Callable
from typing import Any, Final

from torch import Tensor

#: Hears of the epoch under way: steps done, steps in all, and the mean of the losses so far.
Progress = Callable[[int, int, float], None]
#: The same of several trainings at once, with the mean of each.
LanesProgress = Callable[[int, int, list[float]], None]

#: Between two words on one epoch. One that is over sooner is its own word.
TELL_EVERY_S: Final = 1.0


def unheard(done: int, total: int, loss: float | list[float]) -> None:
    """Nobody listens."""


class Pace:
    """Tells the progress of epochs, at most once a second each.

    A step costs a look at the clock, less than 1 µs. The losses are read where something is told
    and nowhere else, since a GPU has to be waited for then.
    """

    def __init__(
        self, tell: Callable[[int, int, Any], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._due = math.inf

    def begin_epoch(self) -> None:
        """Its first step is about to be taken."""
        self._due = math.inf if self._tell is unheard else self._clock() + TELL_EVERY_S

    def after_step(self, done: int, losses: Tensor) -> None:
        """`done` steps are taken; the first of `losses`, (steps in all,) or (…, K), are theirs."""
        if self._clock() < self._due:
            return
        self._tell(done, len(losses), losses[:done].double().mean(0).tolist())
        self._due = self._clock() + TELL_EVERY_S
