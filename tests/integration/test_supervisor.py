"""The supervisor over real processes that behave badly."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
import pytest

from tuner.serving.supervisor import Program, StartFailed, Supervisor, ending

#: Says that it is up, and then ends at SIGTERM, or never.
OBEDIENT = "import signal, sys; print('up', flush=True); signal.pause()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {OBEDIENT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Program):
    """A program of the test's own; `started` collects its processes once they are up."""

    code: str
    started: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", self.code, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        self.started.append(process)
        return process


def script(code: str, name: str = "program") -> Script:
    return Script(name=name, code=code, arguments=(), environment={})


def supervise(
    *programs: Script,
    on_ready: Callable[[], None],
    said: list[str] | None = None,
    ready: bool = True,
    grace_s: float = 30.0,
) -> None:
    async def is_ready() -> bool:
        return ready and all(program.started for program in programs)

    async def main() -> None:
        await Supervisor(
            programs=programs,
            is_ready=is_ready,
            on_ready=on_ready,
            say=(said if said is not None else []).append,
            grace_s=grace_s,
        ).supervise()

    asyncio.run(main())
    processes = [process for program in programs for process in program.started]
    assert all(process.returncode is not None for process in processes)
    assert not any(psutil.pid_exists(process.pid) for process in processes)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_programs_in_order(number: signal.Signals) -> None:
    programs = script(OBEDIENT, "one"), script(OBEDIENT, "two")
    supervise(*programs, on_ready=lambda: os.kill(os.getpid(), number))
    assert [p.started[0].returncode for p in programs] == [-signal.SIGTERM] * 2


def test_a_program_that_does_not_end_in_its_grace_is_killed() -> None:
    program, said = script(STUBBORN), list[str]()
    supervise(program, on_ready=interrupt, said=said, grace_s=0.1)
    assert program.started[0].returncode == -signal.SIGKILL
    assert "has not ended in 0.1 s" in said[-1]


def test_a_second_signal_does_not_wait_for_the_grace() -> None:
    class Insistent(list[str]):
        def append(self, text: str) -> None:
            super().append(text)
            if text.startswith("Stopping"):
                interrupt()

    program, said = script(STUBBORN), Insistent()
    supervise(program, on_ready=interrupt, said=said, grace_s=100.0)
    assert program.started[0].returncode == -signal.SIGKILL
    assert said[-1].startswith("Forced")


def test_a_program_that_ends_is_started_again_and_the_others_go_on() -> None:
    mortal, steady = script(OBEDIENT, "mortal"), script(OBEDIENT, "steady")

    class Watchful(list[str]):
        def append(self, text: str) -> None:
            super().append(text)
            if len(self) == 1:
                asyncio.get_running_loop().create_task(self.until_restarted())

        async def until_restarted(self) -> None:
            while len(mortal.started) < 2:
                await asyncio.sleep(0)
            interrupt()

    said = Watchful()
    supervise(mortal, steady, on_ready=lambda: mortal.started[0].kill(), said=said)
    assert said[0] == "The mortal ended (killed by SIGKILL); starting it again."
    assert (len(mortal.started), len(steady.started)) == (2, 1)


def test_a_program_that_ends_before_all_is_ready_stops_the_whole_start() -> None:
    broken, other = script("print('up', flush=True); raise SystemExit(7)", "api"), script(OBEDIENT)
    with pytest.raises(StartFailed, match="The api did not start: exit code 7"):
        supervise(broken, other, on_ready=interrupt, ready=False)
    assert other.started[0].returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")]
)
def test_exit_statuses_are_put_in_words(code: int, words: str) -> None:
    assert ending(code) == words
