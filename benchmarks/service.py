"""A service of its own for a benchmark: real processes, an empty home, a free port."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tuner.client import Client, ServerUnreachable
from tuner.db import Database
from tuner.settings import Settings


@contextmanager
def serving(
    home: Path | None = None, **environment: str
) -> Iterator[tuple[Client, Database, Settings]]:
    """`tuner serve` with these settings; its client and its database. Ended on leaving.

    Its home is a temporary folder, or `home`, which stays.
    """
    with ExitStack() as stack:
        if home is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tuner-bench-")))
        home.mkdir(parents=True, exist_ok=True)
        folder = str(home)
        port = str(_free_port())
        env = {**os.environ, "TUNER_HOME": folder, "TUNER_PORT": port, **environment}
        command = [sys.executable, "-m", "tuner.cli", "serve", "--port", port]
        with (Path(folder) / "serve.log").open("wb") as log:
            server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            settings = Settings(
                home=Path(folder), database_url=environment.get("TUNER_DATABASE_URL", "")
            )
            client = Client(f"http://127.0.0.1:{port}")
            _await(client, server, Path(folder) / "serve.log")
            yield client, Database(settings.url), settings
        finally:
            server.terminate()
            server.wait(timeout=60)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _await(client: Client, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            client.ready()
            return
        except ServerUnreachable:
            if server.poll() is not None:
                raise RuntimeError(log.read_text()) from None
            time.sleep(0.05)
    raise RuntimeError(f"The service did not get ready:\n{log.read_text()}")
