"""Copies what workers write on stdout and stderr into the capped logs of their attempts."""

import array
import fcntl
import os
import selectors
import socket
import termios
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from tuner.workers.logs import CappedLog

_READ_BYTES: Final = 1 << 16


class LogPump:
    """One thread for all workers of an executor, so that none waits for the scheduler to write.

    A pipe is attached to a log for the time of an attempt; to several where its worker serves
    several, each of which has what was printed meanwhile. `attach` and `detach` are for one thread.
    """

    def __init__(self) -> None:
        self._logs: dict[int, list[CappedLog]] = {}
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._end, self._end_in = socket.socketpair()
        self._selector.register(self._end, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._pump, name="log-pump", daemon=True)
        self._thread.start()

    def attach(self, pipe: int, log: CappedLog) -> None:
        """Copy from the read end `pipe` into `log` from now on."""
        os.set_blocking(pipe, False)
        with self._lock:
            if pipe in self._logs:
                self._logs[pipe].append(log)
                return
            self._logs[pipe] = [log]
        # Safe while the thread selects: the kernel's set changes at once, and a key unknown to
        # a select under way is skipped by it.
        self._selector.register(pipe, selectors.EVENT_READ)

    def detach(self, pipe: int, log: CappedLog) -> None:
        """Copy all that was written before this call, then close the log; the pipe stays open."""
        with self._lock:
            logs = self._logs[pipe]
            waiting = array.array("i", [0])
            fcntl.ioctl(pipe, termios.FIONREAD, waiting)
            if waiting[0]:
                _write(logs, os.read(pipe, waiting[0]))
            logs.remove(log)
            log.close()
            if not logs:
                del self._logs[pipe]
                with suppress(KeyError):  # at its end already
                    self._selector.unregister(pipe)

    def close(self) -> None:
        """End the thread; every pipe is detached by then."""
        self._end_in.close()
        self._thread.join()
        self._selector.close()
        self._end.close()

    def _pump(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._end:
                    return
                self._copy(key.fd)

    def _copy(self, pipe: int) -> None:
        with self._lock:
            logs = self._logs.get(pipe)
            if logs is None:
                return
            with suppress(BlockingIOError):
                data = os.read(pipe, _READ_BYTES)
                if data:
                    _write(logs, data)
                else:
                    self._selector.unregister(pipe)


def _write(logs: Iterable[CappedLog], data: bytes) -> None:
    for log in logs:
        with suppress(OSError):  # a full disk costs the log, not the training
            log.write(data)
