"""What every executor promises: it starts attempts somewhere and says how they go."""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from tuner.protocol import ExecutorEvent, Judged, StartAttempt, StopAttempt, Suggested
from tuner.slots import Inventory


class Executor(Protocol):
    """Runs attempts on the devices of one place.

    The scheduler alone calls it, from one thread. It holds no truth: what it forgets with its
    process, the scheduler reads from the database. Leaving the context ends every worker.
    """

    def inventory(self) -> Inventory:
        """The devices attempts may be placed on."""

    def start(self, order: StartAttempt) -> None:
        """Begin an attempt. Failure to begin comes as an event, never as an exception."""

    def send(self, message: Judged | Suggested | StopAttempt) -> None:
        """Pass a message to the attempt's worker; one for an attempt that is gone is dropped."""

    def kill(self, attempt: int) -> None:
        """End the attempt's worker and everything it started, now. `WorkerEnded` follows."""

    def poll(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        """All that happened since the last call; waits up to `timeout_s` for the first event."""

    def wake(self) -> None:
        """Make a waiting `poll` return; the one method that any thread may call."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
