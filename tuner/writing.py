"""Writes checkpoints on a thread of its own, so that training goes on meanwhile."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Writer(Generic[T]):
    """Carries out one write at a time. For one thread to call.

    What a write raises is raised by whoever next asks what was written.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: Future[T] | None = None

    def begin(self, write: Callable[[], T]) -> None:
        """Begin a write; the one before must have been taken."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        self._under_way = self._thread.submit(write)

    def take(self, *, wait: bool) -> T | None:
        """What the write brought, once it has ended; None where none has, or none was begun."""
        if self._under_way is None or not (wait or self._under_way.done()):
            return None
        ended, self._under_way = self._under_way, None
        return ended.result()

    def close(self) -> None:
        """Wait for the write that is under way, and end."""
        if self._thread is not None:
            self._thread.shutdown()
