"""Servers for a benchmark, as processes of their own; each ended on leaving."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tuner.settings import Settings

PATIENCE_S = 60.0


@contextmanager
def process(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """``python -m arguments``; its process id."""
    env = {**os.environ, **(environment or {})}
    started = subprocess.Popen([sys.executable, "-m", *arguments], env=env)
    try:
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(PATIENCE_S)


@contextmanager
def listening(*arguments: str, port: int, environment: Mapping[str, str]) -> Iterator[int]:
    """The process, once its port answers; the port."""
    with process(*arguments, environment=environment):
        deadline = time.monotonic() + PATIENCE_S
        while not _answers(port):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(arguments)} does not listen.")
            time.sleep(0.02)
        yield port


@contextmanager
def api(settings: Settings, url: str) -> Iterator[int]:
    """The service's api on the database at `url`; its port."""
    port = free_port()
    arguments = ("tuner.cli", "api", "--port", str(port), "--log-level", "warning")
    with listening(*arguments, port=port, environment=_environment(settings, url)):
        yield port


@contextmanager
def scheduler(settings: Settings, url: str) -> Iterator[int]:
    """The service's scheduler on the database at `url`."""
    arguments = ("tuner.cli", "scheduler", "--log-level", "warning")
    with process(*arguments, environment=_environment(settings, url)) as pid:
        yield pid


@contextmanager
def hello() -> Iterator[int]:
    """The bare FastAPI service; its port."""
    port = free_port()
    with listening("benchmarks.hello", str(port), port=port, environment={}):
        yield port


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _environment(settings: Settings, url: str) -> dict[str, str]:
    return {"TUNER_HOME": str(settings.root), "TUNER_DATABASE_URL": url}


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
