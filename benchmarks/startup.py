"""How long until there is an answer: `tuner --help`, and the api until /healthz answers.

Each in processes of their own, with an empty home for every server; the file system's cache is
warm. Neither may import PyTorch: of `--help` the imported modules are looked through, of the
server the memory maps of all its processes.

    python -m benchmarks.startup [--repeats 7]
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.figures import surroundings, table

TUNER = (sys.executable, "-m", "tuner.cli")
PATIENCE_S = 60.0


def help_seconds() -> float:
    """From the start of `tuner --help` to its end."""
    began = time.perf_counter()
    subprocess.run([*TUNER, "--help"], check=True, capture_output=True)
    return time.perf_counter() - began


def help_imports_torch() -> bool:
    """Whether PyTorch is among what `tuner --help` imports."""
    command = [sys.executable, "-X", "importtime", *TUNER[1:], "--help"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    modules = {line.rpartition("|")[2].strip() for line in listing.splitlines()}
    assert "tuner.cli" in modules or "typer" in modules, "the listing has no modules"
    return "torch" in modules


def ready_seconds(command: str) -> tuple[float, bool]:
    """From the start of `tuner COMMAND` to the first answer of /healthz; whether it has PyTorch.

    The api's database has been migrated before, as compose has it; `serve` migrates an empty one.
    """
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as home:
        port = _free_port()
        env = {**os.environ, "TUNER_HOME": home, "TUNER_DATABASE_URL": ""}
        if command == "api":
            subprocess.run([*TUNER, "db", "upgrade"], env=env, check=True, capture_output=True)
        began = time.perf_counter()
        server = subprocess.Popen(
            [*TUNER, command, "--port", str(port)], env=env, stdout=subprocess.DEVNULL
        )
        try:
            while not _is_healthy(port):
                if server.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                    raise RuntimeError("The server did not get ready.")
                time.sleep(0.005)
            return time.perf_counter() - began, _has_torch(server.pid)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE_S)


def _is_healthy(port: int) -> bool:
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _has_torch(pid: int) -> bool:
    server = psutil.Process(pid)
    processes = [server, *server.children(recursive=True)]
    return any("libtorch" in Path(f"/proc/{p.pid}/maps").read_text() for p in processes)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _row(name: str, seconds: list[float], torch: bool, target: float) -> tuple[str, ...]:
    low, high = min(seconds), max(seconds)
    imported = "IMPORTED" if torch else "not imported"
    figures = (f"{statistics.median(seconds):.3f} s", f"{low:.3f} … {high:.3f} s")
    return (name, *figures, imported, f"< {target} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    help_seconds()  # fills the cache, and writes the compiled modules
    helps = [help_seconds() for _ in range(repeats)]
    rows = [_row("`tuner --help`", helps, help_imports_torch(), 0.4)]
    for command in ("api", "serve"):
        found = [ready_seconds(command) for _ in range(repeats)]
        seconds, torches = [once for once, _ in found], [torch for _, torch in found]
        rows.append(_row(f"`tuner {command}` until /healthz answers", seconds, any(torches), 1.5))
    print(surroundings(), end="\n\n")
    print(table(("command", "median", "range", "PyTorch", "target"), rows))


if __name__ == "__main__":
    main()
