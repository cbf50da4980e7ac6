"""A worker that serves several attempts at once, until nobody is left who gives it any."""

import queue
import shutil
import sys
import threading
from contextlib import suppress
from pathlib import Path

from tuner.protocol import ChannelClosed, FromWorker, StartAttempt, ToWorker
from tuner.shared_lanes import SharedLanes
from tuner.workers import kernel
from tuner.workers.conduct import conduct
from tuner.workers.frames import WorkerChannel


def serve_lanes(first: StartAttempt, line: WorkerChannel, *, scratch: Path, device: str) -> None:
    """Conduct this attempt and those that are ordered while it goes on, or after it.

    Raises:
        ChannelClosed: no more attempts will come, and those that go on are let go.
    """
    lanes = SharedLanes(capacity=first.lanes)
    at_work: dict[int, _Attempt] = {}
    message: ToWorker | FromWorker = first
    while True:
        if isinstance(message, StartAttempt):
            lanes.enter(message.attempt)
            folder = scratch / str(message.attempt)
            at_work[message.attempt] = _Attempt(message, line, lanes, folder, device)
            at_work[message.attempt].start()
        elif message.attempt in at_work:
            at_work[message.attempt].inbox.put(message)
        message = line.receive()
        at_work = {number: one for number, one in at_work.items() if one.is_alive()}


class _Attempt(threading.Thread):
    """One attempt at work, and its transport. It runs while it has the turn, and no longer."""

    def __init__(
        self,
        order: StartAttempt,
        line: WorkerChannel,
        lanes: SharedLanes,
        scratch: Path,
        device: str,
    ) -> None:
        super().__init__(name=f"attempt-{order.attempt}", daemon=True)
        self._order, self._line, self._lanes = order, line, lanes
        self._scratch, self._device = scratch, device
        self.inbox: queue.SimpleQueue[ToWorker | FromWorker] = queue.SimpleQueue()

    def run(self) -> None:
        with self._lanes.turn, suppress(ChannelClosed):
            self._scratch.mkdir(parents=True, exist_ok=True)
            ended = conduct(
                self._order, self, scratch=self._scratch, device=self._device, lanes=self._lanes
            )
            self._lanes.leave(self._order.attempt)
            for text in (sys.stdout, sys.stderr):
                text.flush()
            kernel.flush_c_streams()
            shutil.rmtree(self._scratch, ignore_errors=True)
            self.send(ended)

    def send(self, message: FromWorker) -> None:
        self._line.send(message)

    def receive(self) -> ToWorker | FromWorker:
        with self._lanes.elsewhere():
            return self.inbox.get()

    def receive_now(self) -> ToWorker | FromWorker | None:
        return None if self.inbox.empty() else self.inbox.get()
