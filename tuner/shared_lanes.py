"""The lanes that the attempts of one worker share, each attempt in a thread of its own.

The threads take turns: one has the turn, and touches torch; the others wait, for an epoch or for
a message. So each runs the program of a trial that is alone, and the epochs of all are one.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import torch

from models.data.loading import Dataset
from models.recipe import Recipe
from models.training.checkpoint import Checkpoint
from models.training.lanes.graph import EAGER, Graph
from models.training.lanes.lanes import LaneRefused, Lanes
from models.training.pace import Progress, unheard
from models.training.train import Epoch

#: How long an epoch waits for an attempt that leaves amid it to take notice.
_NOTICE_S: Final = 1.0


class LanesExceedMemory(Exception):
    """So many lanes do not fit into the device's memory; half as many may."""

    def __init__(self, lanes: int) -> None:
        super().__init__(f"{lanes} lanes do not fit into memory; the next worker has half of them.")
        self.fitting = lanes // 2


class LanesFailed(Exception):
    """What several attempts trained together raised; nobody knows for which of them."""


class SharedLanes:
    """Trains an epoch of all attempts once each has asked for it.

    All methods but `enter` are for the thread that has the turn.
    """

    def __init__(self, *, capacity: int) -> None:
        #: Free for whoever takes it.
        self.turn = threading.Condition(threading.Lock())
        self._capacity = capacity
        self._lanes: Lanes | None = None
        self._data: Dataset | None = None
        #: The attempts without which no epoch begins.
        self._present: set[int] = set()
        self._lane_of: dict[int, int] = {}
        self._asking: set[int] = set()
        self._tell: dict[int, Progress] = {}
        self._found: dict[int, Epoch | BaseException] = {}
        self._advancing = False

    def enter(self, attempt: int) -> None:
        """From now on an epoch waits for this attempt; does not wait for the turn."""
        self._present.add(attempt)

    def leave(self, attempt: int) -> None:
        """Free the attempt's lane; the others go on without it."""
        self._present.discard(attempt)
        self._evict(attempt)
        self.turn.notify_all()

    def _evict(self, attempt: int) -> None:
        self._tell.pop(attempt, None)
        lane = self._lane_of.pop(attempt, None)
        if self._lanes is not None and lane is not None and lane not in self._lanes.free:
            self._lanes.evict(lane)

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Leave the turn to others meanwhile."""
        self.turn.release()
        try:
            yield
        finally:
            self.turn.acquire()

    def data(self, read: Callable[[], Dataset]) -> Dataset:
        """The data of all attempts, as the first of them has `read` it."""
        if self._data is None:
            self._data = read()
        return self._data

    def train(
        self,
        attempt: int,
        recipe: Recipe,
        data: Dataset,
        *,
        resume: Checkpoint | None,
        device: str,
        tell: Progress = unheard,
        halvings: int = 0,
        graph: Graph = EAGER,
    ) -> Iterator[Epoch]:
        """The epochs of a recipe, each trained with one of every other attempt that is present.

        Checkpoints are to be called before the next epoch is asked for. What `tell` raises amid an
        epoch ends this attempt's part in it, and is raised here. The first attempt of all says as
        which `graph` their steps are carried out.

        Raises:
            LaneRefused: it trains alone; the others do not wait for it.
            LanesExceedMemory: there are too many lanes.
            LanesFailed: what the attempts trained together raised something.
            And what `models.training.train.train` raises.
        """
        try:
            if halvings:
                raise LaneRefused("It learns from halves of its batches, memory having run out.")
            self._lane_of[attempt] = self._admitted(recipe, data, resume, device, graph)
        except LaneRefused:
            self._present.discard(attempt)
            self.turn.notify_all()
            raise
        self._tell[attempt] = tell
        reached = 0 if resume is None else resume.epoch
        while reached < recipe.epochs:
            epoch = self._next(attempt)
            reached = epoch.index
            yield epoch

    def _admitted(
        self,
        recipe: Recipe,
        data: Dataset,
        resume: Checkpoint | None,
        device: str,
        graph: Graph,
    ) -> int:
        self.turn.wait_for(lambda: not self._advancing)
        if self._lanes is None:
            self._lanes = self._begun(recipe, data, device, graph)
        if not self._lanes.free:
            raise LaneRefused(f"All {self._capacity} lanes of the worker are taken.")
        lane = self._lanes.free[0]
        self._lanes.admit(lane, recipe, resume=resume)
        return lane

    def _begun(self, recipe: Recipe, data: Dataset, device: str, graph: Graph) -> Lanes:
        try:
            lanes = Lanes(recipe, data, capacity=self._capacity, device=device, graph=graph)
        except torch.OutOfMemoryError as error:
            raise LanesExceedMemory(self._capacity) from error
        if lanes.why_eager is not None:
            print(f"steps are eager: {lanes.why_eager}", file=sys.stderr)  # noqa: T201
        return lanes

    def _next(self, attempt: int) -> Epoch:
        """Ask for an epoch, and wait until all do; whoever asks last trains it for all."""
        self._asking.add(attempt)
        while attempt not in self._found:
            if self._asking == self._present and not self._advancing:
                self._advance()
            else:
                self.turn.wait()
        found = self._found.pop(attempt)
        if isinstance(found, BaseException):
            raise found
        return found

    def _advance(self) -> None:
        assert self._lanes is not None
        self._asking.clear()
        self._advancing = True
        try:
            found = self._lanes.advance(progress=self._tell_all)
        except Exception as error:
            # What lanes compute together fails for all; whoever comes next begins anew.
            self._found.update(dict.fromkeys(self._lane_of, self._of_all(error)))
            self._lanes = None
            self._lane_of.clear()
        else:
            self._found.update({attempt: found[lane] for attempt, lane in self._lane_of.items()})
        finally:
            self._advancing = False
        self.turn.notify_all()

    def _of_all(self, error: Exception) -> Exception:
        """What an error in the program of all lanes is to each of the attempts."""
        if isinstance(error, torch.OutOfMemoryError):
            return LanesExceedMemory(self._capacity)
        if len(self._lane_of) > 1:
            return LanesFailed(f"{type(error).__name__}: {error}")
        return error

    def _tell_all(self, done: int, total: int, means: list[float]) -> None:
        """Have each attempt say how far the epoch is; who is to end amid it does."""
        for attempt, lane in list(self._lane_of.items()):
            try:
                self._tell[attempt](done, total, means[lane])
            except Exception as error:
                self._found[attempt] = error
                self._evict(attempt)
        # Leave the turn to those until they have taken notice; no epoch begins meanwhile.
        self.turn.notify_all()
        self.turn.wait_for(lambda: not self._found, timeout=_NOTICE_S)
