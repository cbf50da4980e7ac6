"""A command at work: a process in a group of its own, ended as asked or by force."""

import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

#: Of what was last written on stderr.
TAIL_BYTES: Final = 1 << 13
_READ_BYTES: Final = 1 << 16


class Process:
    """A command from its start to its end. For one thread.

    It writes on this process's stdout and stderr. It stays in this session, whose leader speaks
    for it to the scheduler of processes.
    """

    def __init__(self, argv: Sequence[str], *, folder: Path, environ: Mapping[str, str]) -> None:
        """Start it.

        Raises:
            OSError: the kernel cannot execute it.
        """
        self._stderr = _Copy(2)
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stderr=self._stderr.entrance,
                process_group=0,
            )
        except BaseException:
            self._stderr.end()
            raise
        self._handle = os.pidfd_open(self._process.pid)

    def ended_within(self, seconds: float) -> bool:
        """Whether it has ended, waited for so long at most."""
        return bool(select.select([self._handle], [], [], seconds)[0])

    def ask_to_end(self) -> None:
        """Send SIGTERM to the command itself; those it started are its own to tell."""
        signal.pidfd_send_signal(self._handle, signal.SIGTERM)

    def end(self) -> int:
        """Kill what is left of its group; its exit code, negative for a signal."""
        # Not reaped yet, so its id is nobody else's; but it may have left the group it led.
        signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        os.close(self._handle)
        self._stderr.end()
        return code

    @property
    def last_words(self) -> str:
        """The end of what it wrote on stderr, once it has ended."""
        return self._stderr.tail.decode(errors="replace").strip()


class _Copy:
    """Copies what is written into `entrance` to a file descriptor, and keeps the end of it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._exit, self.entrance = os.pipe()
        self._over, self._over_in = os.pipe()
        self.tail = b""
        os.set_blocking(self._exit, False)
        self._thread = threading.Thread(target=self._copy, name="stderr", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Copy what is there, and no more: somebody may hold the entrance open for ever."""
        os.close(self._over_in)
        self._thread.join()
        for descriptor in (self._exit, self.entrance, self._over):
            os.close(descriptor)

    def _copy(self) -> None:
        over = False
        while not over:
            over = self._over in select.select([self._exit, self._over], [], [])[0]
            self._take()  # of a pipe one read takes all

    def _take(self) -> None:
        try:
            data = os.read(self._exit, _READ_BYTES)
        except BlockingIOError:
            return
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        while data:
            data = data[os.write(self._target, data) :]
