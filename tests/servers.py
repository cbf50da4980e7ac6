"""``tuner serve`` as a user starts it, for tests: real processes, and nothing left of them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

PATIENCE_S = 100.0


class Server:
    """A running ``tuner serve``."""

    def __init__(self, process: subprocess.Popen[str], facts: dict[str, Any]) -> None:
        self.process = process
        self.url: str = facts["url"]
        self.family = [process_of(process), *process_of(process).children(recursive=True)]

    def part(self, name: str) -> psutil.Process:
        """The process of the api or the scheduler that runs now."""
        children = process_of(self.process).children()
        return next(child for child in children if name in child.cmdline())

    def says(self, text: str) -> None:
        """Wait until the server says so on stderr."""
        assert self.process.stderr is not None
        assert any(text in line for line in self.process.stderr)

    def end(self, number: signal.Signals) -> int:
        """Send the signal; the exit code, once nothing of the server is left."""
        family = {*self.family, *process_of(self.process).children(recursive=True)}
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        _, alive = psutil.wait_procs(list(family), timeout=PATIENCE_S)
        assert not alive
        return code


def process_of(process: subprocess.Popen[str]) -> psutil.Process:
    return psutil.Process(process.pid)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "tuner.cli", *arguments]


@contextmanager
def running(*arguments: str) -> Iterator[Server]:
    with subprocess.Popen(
        command("serve", "--port=0", "--json", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            ready = process.stdout.readline()
            assert ready, process.stderr.read()
            yield Server(process, json.loads(ready))
        finally:
            process.kill()
