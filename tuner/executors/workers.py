"""One worker as its executor knows it, and what to make of its end."""

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tuner.protocol import StartAttempt
from tuner.states import Reason
from tuner.workers.frames import ExecutorChannel
from tuner.workers.logs import CappedLog

#: Another look finds what was forked during the last one; not for ever, as some cannot be killed.
_ROUNDS: Final = 5


@dataclass(slots=True, kw_only=True, eq=False)
class Worker:
    """A process that runs attempts, or is about to be forked for them."""

    number: int
    channel: ExecutorChannel
    #: Read end of the pipe that takes its stdout and stderr.
    log: int
    #: None until the fork server has answered.
    pid: int | None = None
    #: The attempts it has been given and has not ended.
    orders: dict[int, StartAttempt] = field(default_factory=dict)
    #: The logs of these attempts.
    logs: dict[int, CappedLog] = field(default_factory=dict)
    #: Of the attempts it serves in lanes, the first it was given; None where it serves one.
    lanes_of: int | None = None
    #: Why its executor ended it; None while it has not.
    ended_because: str | None = None

    def close(self) -> None:
        """Give up the executor's ends of its channel and log."""
        self.channel.close()
        os.close(self.log)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a worker came to its end."""

    exit_code: int | None
    detail: str
    reason: Reason = Reason.WORKER_LOST


def end_of(worker: Worker, exit_code: int, *, memory_ran_out: bool) -> End:
    """The end of a worker that exited with `exit_code`, negative for a signal."""
    name = f"Worker process {worker.pid}"
    if worker.ended_because is not None:
        return End(exit_code=exit_code, detail=f"{name} was ended: {worker.ended_because}")
    if exit_code >= 0:
        detail = f"{name} exited with code {exit_code} and without a result."
        return End(exit_code=exit_code, detail=detail, reason=Reason.NO_RESULT)
    detail = f"{name} was ended by {_signal_name(-exit_code)}."
    if -exit_code != signal.SIGKILL:
        return End(exit_code=exit_code, detail=detail, reason=Reason.CRASHED)
    if memory_ran_out:
        detail = f"{name} was ended because the host's memory, or its share of it, ran out."
        return End(exit_code=exit_code, detail=detail, reason=Reason.OOM_HOST)
    return End(exit_code=exit_code, detail=detail)


def end_marked(mark: tuple[str, str], patience_s: float = 5.0) -> None:
    """Kill every process that carries `mark` in its environment, and see each gone.

    For when the fork server, which knows its workers and their children, has ended.
    """
    entry = "=".join(mark).encode()
    for _ in range(_ROUNDS):
        living = [pid for pid in _processes() if pid != os.getpid() and _has(pid, entry)]
        for pid in living:
            with suppress(ProcessLookupError):
                _end(pid, entry, patience_s)
        if not living:
            return


def _end(pid: int, entry: bytes, patience_s: float) -> None:
    handle = os.pidfd_open(pid)
    try:
        if _has(pid, entry):  # still it, now that the handle keeps it from being another
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], patience_s)
    finally:
        os.close(handle)


def _processes() -> list[int]:
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdecimal()]


def _has(pid: int, entry: bytes) -> bool:
    try:
        return entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False  # it has ended, or belongs to somebody else


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
