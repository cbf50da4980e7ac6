"""Keeps the service's processes alive, and ends them all when it is told to end."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tuner.errors import TunerError

GRACE_S: Final = 30.0
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
#: A process that lived so long starts again at once, whatever happened before.
SOUND_LIFE_S: Final = 60.0
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StartFailed(TunerError):
    """A process ended before the service was ready."""

    hint = "Its last words stand above; `tuner doctor` looks for causes."

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"The {name} did not start: {ending(code)}.")
        self.name = name
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One of the service's processes: a command of ``tuner`` that runs until it is told to stop."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    #: Descriptors it inherits.
    descriptors: Sequence[int] = ()

    async def start(self) -> asyncio.subprocess.Process:
        """Start it in a process group of its own: Ctrl-C at the terminal is ours to pass on."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            # The current folder may hold a user's `models` or `app`; they are not ours.
            "-P",
            "-m",
            "tuner.cli",
            *self.arguments,
            f"--parent={os.getpid()}",
            env=dict(self.environment),
            pass_fds=tuple(self.descriptors),
            stdin=asyncio.subprocess.DEVNULL,
            # Ours is for what was asked of us: `serve --json` prints JSON and nothing else.
            stdout=2,
            start_new_session=True,
        )


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """Starts programs, restarts the one that ends, and stops all at SIGTERM or SIGINT.

    `is_ready` is asked until it says yes; then `on_ready` is called, once. `say` tells the
    operator what happens. Belongs to one event loop in the main thread.
    """

    programs: Sequence[Program]
    is_ready: Callable[[], Awaitable[bool]]
    on_ready: Callable[[], None]
    say: Callable[[str], None]
    grace_s: float = GRACE_S
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _ready: bool = False
    _processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def supervise(self) -> None:
        """Return when a signal said so and every process has ended.

        Raises:
            StartFailed: a process ended before the service was ready; the others are stopped.
        """
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        duties = [self._keep(program) for program in self.programs]
        endings = await asyncio.gather(
            *map(self._or_stop, [*duties, self._announce_readiness()]), return_exceptions=True
        )
        for error in endings:
            if error is not None:
                raise error

    def _on_signal(self, number: signal.Signals) -> None:
        if not self._stop.is_set():
            if number is signal.SIGINT:  # somebody sits there and waits
                self.say("Stopping; Ctrl-C once more to force.")
            self._stop.set()
            return
        self.say("Forced: ending everything now.")
        for process in self._processes.values():
            _send(process, signal.SIGKILL)

    async def _or_stop(self, duty: Awaitable[None]) -> None:
        """A duty that fails takes the service down in order, not half of it."""
        try:
            await duty
        except BaseException:
            self._stop.set()
            raise

    async def _keep(self, program: Program) -> None:
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while not self._stop.is_set():
            born = loop.time()
            process = await program.start()
            self._processes[program.name] = process
            code = await self._until_ended(program, process)
            if self._stop.is_set():
                return
            if not self._ready:
                raise StartFailed(program.name, code)
            if loop.time() - born > SOUND_LIFE_S:
                pause_s = FIRST_PAUSE_S
            self.say(f"The {program.name} ended ({ending(code)}); starting it again.")
            await self._pause(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _until_ended(self, program: Program, process: asyncio.subprocess.Process) -> int:
        """Wait for the process, or for the word to end it; it has ended afterwards."""
        ended = asyncio.create_task(process.wait())
        told = asyncio.create_task(self._stop.wait())
        await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not ended.done():
            _send(process, signal.SIGTERM)
            done, _ = await asyncio.wait({ended}, timeout=self.grace_s)
            if not done:
                self.say(f"The {program.name} has not ended in {self.grace_s:g} s; killing it.")
                _send(process, signal.SIGKILL)
        return await ended

    async def _announce_readiness(self) -> None:
        pause_s = 0.02
        while not self._stop.is_set():
            if await self.is_ready():
                self._ready = True
                self.on_ready()
                return
            await self._pause(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            # The process's own method polls first, and may take its exit status from the loop.
            os.kill(process.pid, number)


def ending(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
