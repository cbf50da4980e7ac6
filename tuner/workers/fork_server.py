"""The fork server's own process: warm up once, then fork a clean worker per request.

Not `multiprocessing`'s: that one runs the scheduler's main module again in every worker (0.3 s
where it imports the database and the sampler), belongs to the whole process, reaps a worker
before its group can be killed safely, and cannot take in a worker's orphans.
"""

import array
import gc
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from tuner.workers import kernel, worker
from tuner.workers.forking import RECORD, Kind
from tuner.workers.warm import warm


def main(
    channel: int,
    scratch: str,
    parent: int,
    modules: list[str],
    ground: Mapping[str, Any] | None = None,
) -> None:
    """Serve fork requests on the socket `channel` until it closes or SIGTERM comes.

    `modules` are imported once, for all workers, and so is the code of a job, its `ground`. Where
    that leaves a process nobody should be forked from, it begins anew without.

    SIGTERM also comes from the kernel when the scheduler ends. It is not SIGKILL, so that the
    workers' own children can be ended too; until the imports are done it ends us like any other.
    """
    kernel.end_with_parent(signal.SIGTERM, parent)
    kernel.adopt_orphans()
    warm(modules)
    if ground is not None:
        lay = importlib.import_module("tuner.foreign.grounding").lay
        if not lay(ground):
            _begin_anew(channel=channel, scratch=scratch, parent=parent, modules=modules)
        gc.freeze()
    with socket.socket(fileno=channel) as requests:
        server = _ForkServer(requests, Path(scratch))
        try:
            server.serve()
        finally:
            server.end()


def _begin_anew(**options: Any) -> NoReturn:
    """Become a new process with the same id, children and open channel."""
    program = sys.orig_argv[:-1]  # what is asked of it comes last
    os.execv(sys.executable, [*program, json.dumps({"path": sys.path, **options})])


class _ForkServer:
    def __init__(self, requests: socket.socket, scratch: Path) -> None:
        self._requests = requests
        self._scratch = scratch
        #: Number of each living worker by its process id.
        self._workers: dict[int, int] = {}
        self._signals, self._signals_in = socket.socketpair()
        self._serving = True

    def serve(self) -> None:
        self._signals_in.setblocking(False)
        signal.set_wakeup_fd(self._signals_in.fileno())
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)  # the wake-up socket tells
        gathering = kernel.gather_memory()
        idle_work = True
        with selectors.DefaultSelector() as selector:
            selector.register(self._requests, selectors.EVENT_READ, self._take_request)
            selector.register(self._signals, selectors.EVENT_READ, self._take_signals)
            while self._serving:
                ready = selector.select(0 if idle_work else None)
                for key, _ in ready:
                    key.data()
                if not ready:
                    idle_work = next(gathering, None) is not None

    def end(self) -> None:
        """End every worker and all their descendants, and take their files away."""
        for pid in self._workers:
            _kill_group(pid)
        self._workers.clear()
        kernel.end_children()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _take_request(self) -> None:
        record, ancillary, _, _ = self._requests.recvmsg(RECORD.size, socket.CMSG_SPACE(8))
        if not record:
            self._serving = False
            return
        kind, number, _ = RECORD.unpack(record)
        if kind == Kind.FORK:
            channel, log = array.array("i", ancillary[0][2])
            self._fork(number, channel, log)
        else:
            for pid in [pid for pid, known in self._workers.items() if known == number]:
                _kill_group(pid)

    def _take_signals(self) -> None:
        if signal.SIGTERM in self._signals.recv(4096):
            self._serving = False
        self._reap()

    def _fork(self, number: int, channel: int, log: int) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            self._answer(Kind.GONE, number, os.EX_OSERR)
        else:
            if pid == 0:
                self._live_as_worker(number, channel, log, parent)
            self._workers[pid] = number
            self._answer(Kind.FORKED, number, pid)
        os.close(channel)
        os.close(log)

    def _live_as_worker(self, number: int, channel: int, log: int, parent: int) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            for inherited in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(inherited, signal.SIG_DFL)
            for ours in (self._requests, self._signals, self._signals_in):
                ours.close()
            scratch = self._scratch / str(number)
            worker.main(socket.socket(fileno=channel), log, scratch, parent)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(os.EX_SOFTWARE)  # whatever happens, never back into the fork server's loop

    def _reap(self) -> None:
        """Tell of every worker that has ended, once all that it started is ended too."""
        while dead := _next_dead():
            number = self._workers.pop(dead, None)
            if number is not None:
                _kill_group(dead)  # before it is reaped: its id cannot be another's until then
            exit_code = os.waitstatus_to_exitcode(os.waitpid(dead, 0)[1])
            # Orphans of a living worker are that worker's children; ours are of ended ones.
            for stray in kernel.children() - self._workers.keys():
                os.kill(stray, signal.SIGKILL)
            if number is not None:
                shutil.rmtree(self._scratch / str(number), ignore_errors=True)
                self._answer(Kind.GONE, number, exit_code)

    def _answer(self, kind: Kind, number: int, value: int) -> None:
        with suppress(OSError):  # the executor has gone; the channel's end tells us next
            self._requests.sendall(RECORD.pack(kind, number, value))


def _next_dead() -> int | None:
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found else None


def _kill_group(leader: int) -> None:
    os.kill(leader, signal.SIGKILL)  # itself too: it may not have made its group yet
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
