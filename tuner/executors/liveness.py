"""Which processes are stopped: they live, and yet nothing will come of them.

That a process has ended, the fork server tells at once. One that was stopped by a signal neither
ends nor says anything. A beat of its own would tell less than the kernel does: a training that
holds the interpreter for a minute lives, and so does one that somebody looks at with a debugger.
"""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

#: Stopped for so long, a process is given up.
STOPPED_FOR_S: Final = 10.0
#: Between two looks at all processes.
LOOK_EVERY_S: Final = 1.0
#: After so long without a look, nobody knows what happened meanwhile.
_UNSEEN_S: Final = 5.0


class Liveness:
    """Watches processes by their state; to be asked often."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._looked = -math.inf
        #: When each stopped process was first seen to be.
        self._since: dict[int, float] = {}

    def given_up(self, pids: Iterable[int]) -> list[int]:
        """Those of the living processes `pids` that were stopped at every look for 10 s."""
        now = self._clock()
        unseen = now - self._looked
        if unseen < LOOK_EVERY_S:
            return []
        self._looked = now
        known = self._since if unseen < _UNSEEN_S else {}
        self._since = {pid: known.get(pid, now) for pid in pids if is_stopped(pid)}
        return [pid for pid, since in self._since.items() if now - since >= STOPPED_FOR_S]


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped by a signal; False where it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    # The name before the state may hold anything, brackets and blanks included (proc_pid_stat(5)).
    return stat.rpartition(")")[2].split()[0] == "T"
