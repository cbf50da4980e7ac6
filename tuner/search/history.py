"""What a sampler has read of its study, so that it reads each trial's end once."""

from bisect import insort

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tuner.search.losses import ENDED, is_feasible, sign_of


class History:
    """The trials of one study, by number, and where those that ended stand."""

    def __init__(self) -> None:
        self._trials: list[FrozenTrial] = []
        self._read = 0
        #: Numbers of the trials that had no end yet when they were read.
        self._open: list[int] = []
        self._ended: list[int] = []
        #: Loss and number of the completed ones that violate nothing, the best first.
        self._best: list[tuple[float, int]] = []

    def read(self, study: Study) -> None:
        """Take in what has happened since."""
        self._trials = study._get_trials(deepcopy=False)
        count = len(self._trials)
        # What was withdrawn had no end: its number is another trial's now, or none's.
        unread = [n for n in self._open if n < min(self._read, count)]
        unread += range(min(self._read, count), count)
        self._read = count
        self._open = [n for n in unread if not self._trials[n].state.is_finished()]
        for number in unread:
            if (trial := self._trials[number]).state in ENDED:
                self._take(trial, study)

    def _take(self, trial: FrozenTrial, study: Study) -> None:
        insort(self._ended, trial.number)
        if trial.state is TrialState.COMPLETE and len(study.directions) == 1 and is_feasible(trial):
            insort(self._best, (sign_of(study) * trial.values[0], trial.number))

    @property
    def count(self) -> int:
        """How many trials there are to learn from."""
        return len(self._ended)

    def ended(self) -> list[FrozenTrial]:
        """The trials there are to learn from."""
        return [self._trials[n] for n in self._ended]

    def running(self) -> list[FrozenTrial]:
        """The trials that are being tried."""
        open_ = (self._trials[n] for n in self._open)
        return [trial for trial in open_ if trial.state is TrialState.RUNNING]

    def brief(self, most: int, newest: int, best: int) -> list[FrozenTrial]:
        """So many of the trials to learn from: the best, the newest, an even share of the others.

        All of them, if they are no more.
        """
        if self.count <= most:
            return self.ended()
        kept = {number for _, number in self._best[:best]} | set(self._ended[-newest:])
        older, missing = self._ended[:-newest], most - len(kept)
        # The best among them are a few too many, and are left out below.
        kept.update(older[index * len(older) // missing] for index in range(missing))
        return [self._trials[n] for n in sorted(kept)]
