"""Attempts in this very process, each in a thread: for tests, notebooks and debuggers."""

import queue
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tuner.protocol import (
    ChannelClosed,
    Ended,
    ExecutorEvent,
    FromWorker,
    Judged,
    StartAttempt,
    StopAttempt,
    Suggested,
    ToWorker,
    WorkerEnded,
)
from tuner.slots import Inventory
from tuner.wire import decode, encode
from tuner.workers.conduct import conduct
from tuner.workers.inventory import inventory


class InlineExecutor:
    """Runs programs in threads of the caller's process: no fork, no log, no protection.

    A thread, because a program waits for verdicts that the thread which polls must give. A
    program that is killed is let go at once, and stops when it next reports; one that never
    does goes on until it returns.
    """

    def __init__(self) -> None:
        #: None wakes a waiting poll.
        self._events: queue.SimpleQueue[ExecutorEvent | None] = queue.SimpleQueue()
        self._at_work: dict[int, _Thread] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for attempt in list(self._at_work):
            self.kill(attempt)

    def inventory(self) -> Inventory:
        return inventory()

    def start(self, order: StartAttempt) -> None:
        thread = _Thread(order, self._events)
        self._at_work[order.attempt] = thread
        thread.start()

    def send(self, message: Judged | Suggested | StopAttempt) -> None:
        if thread := self._at_work.get(message.attempt):
            thread.inbox.put(message)

    def kill(self, attempt: int) -> None:
        if thread := self._at_work.pop(attempt, None):
            thread.let_go()

    def wake(self) -> None:
        self._events.put(None)

    def poll(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        events = []
        try:
            found = self._events.get(block=timeout_s > 0, timeout=timeout_s or None)
            while True:
                if found is not None:
                    events.append(found)
                found = self._events.get_nowait()
        except queue.Empty:
            pass
        for event in events:
            if isinstance(event, Ended):
                self._at_work.pop(event.attempt, None)
        return events


class _Thread(threading.Thread):
    """One attempt at work, and its transport. Messages cross as the frames a process would get."""

    def __init__(
        self, order: StartAttempt, events: queue.SimpleQueue[ExecutorEvent | None]
    ) -> None:
        super().__init__(name=f"attempt-{order.attempt}", daemon=True)
        self._order = order
        self._events = events
        self._lock = threading.Lock()
        self._over = False
        #: None: no more will come.
        self.inbox: queue.SimpleQueue[ToWorker | None] = queue.SimpleQueue()

    def run(self) -> None:
        order = self._order
        device = f"cuda:{order.gpus[0]}" if order.gpus else "cpu"
        folder = tempfile.TemporaryDirectory(prefix="tuner-", ignore_cleanup_errors=True)
        with suppress(ChannelClosed):
            with folder as scratch:
                ended = conduct(order, self, scratch=Path(scratch), device=device)
            self.send(ended)

    def send(self, message: FromWorker) -> None:
        sent = decode(encode(message))
        assert isinstance(sent, FromWorker)
        with self._lock:
            if self._over:
                raise ChannelClosed
            self._over = isinstance(sent, Ended)
            self._events.put(sent)

    def receive(self) -> ToWorker:
        message = self.inbox.get()
        if message is None:
            raise ChannelClosed
        return message

    def receive_now(self) -> ToWorker | None:
        return None if self.inbox.empty() else self.receive()

    def let_go(self) -> None:
        """Report the end now; the program learns of it when it next speaks or listens."""
        with self._lock:
            if self._over:
                return
            self._over = True
        detail = "The attempt was let go: the scheduler asked for it."
        self._events.put(
            WorkerEnded(attempts=(self._order.attempt,), exit_code=None, detail=detail)
        )
        self.inbox.put(None)
