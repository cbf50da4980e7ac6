"""The executor's handle on the fork server: ask for workers, and hear of their ends.

Requests and answers are records of one size on a socket pair of their own; a request to fork
carries the worker's channel and log as file descriptors. Nothing here waits for a fork.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

#: Kind, number of the worker, and a process id or an exit code.
RECORD: Final = struct.Struct("!Bqq")
_BOOT: Final = """
import json, sys
options = json.loads(sys.argv[1])
sys.path[:] = options.pop("path")
from tuner.workers.fork_server import main
main(**options)
"""


class Kind(IntEnum):
    """What a record asks or tells."""

    FORK = 1
    KILL = 2
    FORKED = 3
    GONE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """The worker runs, as process `pid`."""

    worker: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The worker has ended, and every process it started."""

    worker: int
    exit_code: int


class ForkServer:
    """A process that has PyTorch in memory, and forks one worker per request.

    It ends with the thread that constructs this, and its workers end with it: the kernel sends
    the parent-death signal when a process's parent *thread* ends. So construct it in a thread
    that lives as long as the executor.
    """

    def __init__(
        self,
        scratch: Path,
        marks: Mapping[str, str],
        modules: Sequence[str] = (),
        ground: Mapping[str, Any] | None = None,
    ) -> None:
        self._socket, theirs = socket.socketpair()
        options = {
            "path": sys.path,
            "channel": theirs.fileno(),
            "scratch": str(scratch),
            "parent": os.getpid(),
            "modules": list(modules),
            "ground": ground,
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(options)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Else BLAS has threads, which a ground must not have; a worker sets its own number.
                env={**os.environ, **marks, **({"OMP_NUM_THREADS": "1"} if ground else {})},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # keys at the terminal mean the scheduler
            )
        self.pid = self._process.pid

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def fork(self, worker: int, channel: socket.socket, log: int) -> None:
        """Ask for a worker; lost without a word where the server has ended."""
        self._send(Kind.FORK, worker, [channel.fileno(), log])

    def kill(self, worker: int) -> None:
        """Ask for the worker's end and that of all it started; `Gone` follows."""
        self._send(Kind.KILL, worker)

    def receive(self) -> list[Forked | Gone]:
        """What has happened; never waits.

        Raises:
            EOFError: the fork server has ended.
        """
        events: list[Forked | Gone] = []
        while record := self._next_record():
            kind, worker, value = RECORD.unpack(record)
            if kind == Kind.FORKED:
                events.append(Forked(worker=worker, pid=value))
            else:
                events.append(Gone(worker=worker, exit_code=value))
        return events

    def end(self, patience_s: float = 10.0) -> None:
        """End the server and all its workers, and wait for it."""
        # Not by closing the channel: it reads that only after its imports, seconds from its start.
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._socket.close()

    def _send(self, kind: Kind, worker: int, fds: list[int] | None = None) -> None:
        with suppress(OSError):  # its end is noticed by `receive`
            socket.send_fds(self._socket, [RECORD.pack(kind, worker, 0)], fds or [])

    def _next_record(self) -> bytes | None:
        try:
            record = self._socket.recv(RECORD.size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            raise EOFError from error
        if not record:
            raise EOFError
        return record
