"""Attempts on this host, each in a process of its own."""

import math
import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ulid import ULID

from tuner.executors.grounds import Grounds
from tuner.executors.log_pump import LogPump
from tuner.executors.pool import WorkerPool
from tuner.executors.workers import End, Worker
from tuner.protocol import (
    Ended,
    ExecutorEvent,
    FromWorker,
    Judged,
    ProtocolViolated,
    StartAttempt,
    StopAttempt,
    Suggested,
    ToWorker,
    WorkerEnded,
    keeps_worker,
)
from tuner.slots import Inventory
from tuner.workers import logs
from tuner.workers.inventory import inventory

#: In the environment of every process an executor starts: whose it is.
OWNER_MARK: Final = "TUNER_WORKER_OF"


class LocalExecutor:
    """Runs each attempt in a process forked ahead, so that to start one is to send a message.

    The fork server starts with the first attempt. To be used from one thread, which must live
    until `__exit__`: the kernel ends all processes with it. What an attempt prints goes to
    ``<log_root>/<attempt>.log``, complete before its end is told. `modules` are those of its
    programs: imported by the fork server, they cost an attempt nothing.
    """

    def __init__(
        self,
        log_root: Path,
        *,
        modules: Sequence[str] = (),
        spares: int = 1,
        log_cap_bytes: int = logs.DEFAULT_CAP_BYTES,
        kept_for_s: float = 60.0,
        most_cpus: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: What `OWNER_MARK` says in the environment of its processes.
        self.mark = str(ULID())
        self._log_root = log_root
        self._log_cap_bytes = log_cap_bytes
        self._clock = clock
        self._most_cpus = most_cpus
        self._selector = selectors.DefaultSelector()
        self._modules = modules
        self._spares = spares
        self._kept_for_s = kept_for_s
        self._pools_made = count()
        self._pools = Grounds(self._new_pool, on_end=self._take_leave, clock=clock)
        self._at_work: dict[int, Worker] = {}
        self._events: list[ExecutorEvent] = []
        self._woken = False

    def __enter__(self) -> Self:
        self._wake, self._wake_in = socket.socketpair()
        self._wake_in.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ, self._on_wake)
        self._pump = LogPump()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for attempt, worker in list(self._at_work.items()):
            self._detach(worker, attempt)
        self._pools.close()
        self._pump.close()
        self._selector.close()
        self._wake.close()
        self._wake_in.close()

    def _new_pool(
        self, ground: Mapping[str, Any] | None, on_end: Callable[[Worker, End], None]
    ) -> WorkerPool:
        number = next(self._pools_made)
        return WorkerPool(
            self._selector,
            on_end=on_end,
            clock=self._clock,
            # Of its own: what is left of a fork server that ended is found by it.
            mark=(OWNER_MARK, f"{self.mark}.{number}" if number else self.mark),
            modules=self._modules,
            spares=self._spares,
            kept_for_s=self._kept_for_s,
            ground=ground,
        )

    def inventory(self) -> Inventory:
        return inventory(most_cpus=self._most_cpus)

    def start(self, order: StartAttempt) -> None:
        try:
            worker = self._beside(order) or self._pools.take(order)
        except OSError as error:
            detail = f"No worker could be started: {error}"
            self._events.append(
                WorkerEnded(attempts=(order.attempt,), exit_code=None, detail=detail)
            )
            return
        self._attach(worker, order)
        self._tell(worker, order)
        with suppress(OSError):  # the next attempt then waits for its fork, or says what is wrong
            self._pools.refill(order)

    def _beside(self, order: StartAttempt) -> Worker | None:
        """The worker that serves the attempt `order` is to be served beside, if it still does."""
        if order.beside is None:
            return None
        at_work = self._at_work.values()
        return next((worker for worker in at_work if worker.lanes_of == order.beside), None)

    def send(self, message: Judged | Suggested | StopAttempt) -> None:
        worker = self._at_work.get(message.attempt)
        if worker is not None:
            self._tell(worker, message)

    def kill(self, attempt: int) -> None:
        worker = self._at_work.get(attempt)
        if worker is not None:
            self._pools.end(worker, "the scheduler asked for it.")

    def wake(self) -> None:
        with suppress(BlockingIOError):  # so many wakes are waiting that one more changes nothing
            self._wake_in.send(b"\0")

    def poll(self, timeout_s: float) -> Sequence[ExecutorEvent]:
        deadline = self._clock() + timeout_s
        while True:
            patience_s = 0.0 if self._events else max(0.0, deadline - self._clock())
            for key, mask in self._selector.select(patience_s):
                key.data(mask)
            if self._events or self._woken or not patience_s:
                break
        self._woken = False
        self._pools.tend()
        events, self._events = self._events, []
        return events

    def _on_wake(self, mask: int) -> None:
        self._wake.recv(4096)
        self._woken = True

    def _attach(self, worker: Worker, order: StartAttempt) -> None:
        """Give the worker an attempt: hear what it says, and keep what it prints."""
        alone = not worker.orders
        worker.orders[order.attempt] = order
        self._at_work[order.attempt] = worker
        log = logs.CappedLog(logs.path_of(self._log_root, order.attempt), self._log_cap_bytes)
        worker.logs[order.attempt] = log
        self._pump.attach(worker.log, log)
        if order.lanes > 1:
            worker.lanes_of = order.attempt if order.beside is None else order.beside
        if alone:
            hear = partial(self._hear, worker)
            self._selector.register(worker.channel, selectors.EVENT_READ, hear)

    def _detach(self, worker: Worker, attempt: int) -> StartAttempt:
        """Take an attempt from its worker, its log complete."""
        del self._at_work[attempt]
        self._pump.detach(worker.log, worker.logs.pop(attempt))
        order = worker.orders.pop(attempt)
        if not worker.orders:
            self._ignore(worker)
        return order

    def _ignore(self, worker: Worker) -> None:
        with suppress(KeyError):
            self._selector.unregister(worker.channel)

    def _tell(self, worker: Worker, message: ToWorker) -> None:
        worker.channel.send(message)
        self._watch(worker)

    def _watch(self, worker: Worker) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE * worker.channel.congested)
        with suppress(KeyError):  # nothing is heard from it any more
            key = self._selector.get_key(worker.channel)
            if key.events != events:
                self._selector.modify(worker.channel, events, key.data)

    def _hear(self, worker: Worker, mask: int) -> None:
        if not worker.orders:
            return  # its end came in the same batch, from the fork server
        if mask & selectors.EVENT_WRITE:
            worker.channel.flush()
            self._watch(worker)
        try:
            for message in worker.channel.receive():
                self._take_in(worker, message)
        except ProtocolViolated as error:
            self._ignore(worker)
            self._pools.end(worker, str(error))
        if worker.channel.ended:
            self._ignore(worker)  # its end, told by the fork server, says more

    def _take_in(self, worker: Worker, message: ToWorker | FromWorker) -> None:
        if not isinstance(message, FromWorker) or message.attempt not in worker.orders:
            raise ProtocolViolated(repr(message).encode())
        if isinstance(message, Ended):
            order = self._detach(worker, message.attempt)
            if keeps_worker(order, message):
                self._pools.keep(worker, order)
            elif order.lanes > 1 and not worker.orders:
                self._pools.end(worker, "it has no attempt left.")
        self._events.append(message)

    def _take_leave(self, worker: Worker, end: End) -> None:
        if worker.ended_because is None:
            self._hear(worker, selectors.EVENT_READ)  # its last words
        if worker.orders:
            self._events.append(
                WorkerEnded(
                    attempts=tuple(worker.orders),
                    exit_code=end.exit_code,
                    detail=end.detail,
                    reason=end.reason,
                )
            )
        for attempt in list(worker.orders):
            self._detach(worker, attempt)
