"""Which process serves an attempt: a kept one, a spare forked ahead, or a new one."""

import os
import selectors
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.cgroup import OomKills
from tuner.executors.liveness import STOPPED_FOR_S, Liveness
from tuner.executors.workers import End, Worker, end_marked, end_of
from tuner.protocol import StartAttempt
from tuner.workers.forking import Forked, ForkServer, Gone
from tuner.workers.frames import ExecutorChannel


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A worker that has served a GPU and waits to serve it again."""

    worker: Worker
    gpus: tuple[int, ...]
    program: str
    until: float


class WorkerPool:
    """The workers of one executor and the fork server they come from.

    `on_end` is called once for every worker that ended, after all its descendants did, from
    within the selector's callbacks or `take`.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        *,
        on_end: Callable[[Worker, End], None],
        clock: Callable[[], float],
        mark: tuple[str, str],
        modules: Sequence[str],
        spares: int,
        kept_for_s: float,
        ground: Mapping[str, Any] | None = None,
    ) -> None:
        """Its fork server imports `modules`, and the code of a job where it has a `ground`."""
        self._selector = selector
        self._on_end = on_end
        self._clock = clock
        self._mark = mark
        self._modules = modules
        self._ground = ground
        self._wanted_spares = spares
        self._kept_for_s = kept_for_s
        self._server: ForkServer | None = None
        self._scratch = Path()
        self._forked = 0
        self._workers: dict[int, Worker] = {}
        self._spares: list[Worker] = []
        self._kept: list[_Kept] = []
        self._oom_kills = OomKills()
        self._killed_so_far = self._oom_kills.count()
        self._liveness = Liveness(clock)

    def take(self, order: StartAttempt) -> Worker:
        """A worker for `order`, alive or about to be; nothing waits for its fork.

        Raises:
            OSError: the host has no more processes or files to give.
        """
        if self._server is not None and not self._server.alive:
            self._lose_server()
        return self._take_kept(order) or self._take_spare() or self._fork()

    def refill(self) -> None:
        """Fork spares ahead, as many as are wanted."""
        while len(self._spares) < self._wanted_spares:
            self._spares.append(self._fork())

    def keep(self, worker: Worker, order: StartAttempt) -> None:
        """Hold `worker`, which has ended `order`, ready for the next of its kind."""
        until = self._clock() + self._kept_for_s
        self._kept.append(_Kept(worker=worker, gpus=order.gpus, program=order.program, until=until))

    def dismiss_long_kept(self) -> None:
        """End the workers nobody has needed: each holds memory of its GPU."""
        now = self._clock()
        for kept in [kept for kept in self._kept if kept.until <= now]:
            self._dismiss(kept)

    def end_long_stopped(self) -> None:
        """End the workers that somebody stopped and nobody continued; all, with their server."""
        if self._server is None:
            return
        workers = {worker.pid: worker for worker in self._workers.values() if worker.pid}
        for pid in self._liveness.given_up([self._server.pid, *workers]):
            if pid in workers:
                self.end(workers[pid], f"it had been stopped for {STOPPED_FOR_S:g} s.")
            else:
                self._lose_server()
                return

    def end(self, worker: Worker, because: str) -> None:
        """Kill a worker with all that it started; `on_end` follows."""
        if worker.ended_because is None:
            worker.ended_because = because
        if self._server is not None:
            self._server.kill(worker.number)

    def close(self) -> None:
        """End everything, and wait for it."""
        if self._server is not None:
            self._end_server()
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()

    def _take_kept(self, order: StartAttempt) -> Worker | None:
        if not order.gpus:
            return None
        same_gpu = [kept for kept in self._kept if kept.gpus == order.gpus]
        for kept in reversed(same_gpu):
            if kept.program == order.program and not order.foreign:
                self._kept.remove(kept)
                return kept.worker
        for kept in same_gpu:
            self._dismiss(kept)  # another program needs the memory they hold
        return None

    def _dismiss(self, kept: _Kept) -> None:
        self._kept.remove(kept)
        self.end(kept.worker, "it was kept for an attempt that did not come.")

    def _take_spare(self) -> Worker | None:
        return self._spares.pop(0) if self._spares else None

    def _fork(self) -> Worker:
        server = self._server or self._start_server()
        ours, theirs = socket.socketpair()
        with theirs:
            log, log_in = os.pipe()
            self._forked += 1
            worker = Worker(number=self._forked, channel=ExecutorChannel(ours), log=log)
            server.fork(worker.number, theirs, log_in)
            os.close(log_in)
        self._workers[worker.number] = worker
        return worker

    def _start_server(self) -> ForkServer:
        self._scratch = Path(tempfile.mkdtemp(prefix=f"tuner-{self._mark[1]}-"))
        try:
            self._server = ForkServer(
                self._scratch, dict([self._mark]), self._modules, self._ground
            )
        except BaseException:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        self._selector.register(self._server, selectors.EVENT_READ, self._hear)
        return self._server

    def _hear(self, mask: int) -> None:
        assert self._server is not None
        try:
            for event in self._server.receive():
                self._take_in(event)
        except EOFError:
            self._lose_server()

    def _take_in(self, event: Forked | Gone) -> None:
        worker = self._workers[event.worker]
        if isinstance(event, Forked):
            worker.pid = event.pid
            return
        before, self._killed_so_far = self._killed_so_far, self._oom_kills.count()
        ran_out = self._killed_so_far > before
        self._forget(worker, end_of(worker, event.exit_code, memory_ran_out=ran_out))

    def _lose_server(self) -> None:
        assert self._server is not None
        with suppress(EOFError):
            for event in self._server.receive():
                self._take_in(event)
        lost = list(self._workers.values())
        end_marked(self._mark)
        self._end_server()
        detail = "The fork server ended, and its workers with it."
        for worker in lost:
            self._forget(worker, End(exit_code=None, detail=detail))

    def _end_server(self) -> None:
        assert self._server is not None
        self._selector.unregister(self._server)
        self._server.end()
        self._server = None
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _forget(self, worker: Worker, end: End) -> None:
        del self._workers[worker.number]
        self._spares = [spare for spare in self._spares if spare is not worker]
        self._kept = [kept for kept in self._kept if kept.worker is not worker]
        self._on_end(worker, end)
        worker.close()
