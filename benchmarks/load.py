"""Requests to several servers in turn, from a process of their own.

Reads ``{"targets": {name: [port, path]}, "connections": 4, "requests": 200, "blocks": 5}`` on
standard input; writes ``{name: [seconds, …]}``. The targets take turns block by block, so that
whatever else happens on the machine happens to all of them. Connections are kept alive.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

Target = tuple[int, str]
WARM_UP = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many requests, how many at once, and in how many turns."""

    connections: int
    requests: int
    blocks: int


def measure(targets: Mapping[str, Target], plan: Plan) -> dict[str, list[float]]:
    """Seconds of every request by target, made by another process."""
    document = {
        "targets": targets,
        "connections": plan.connections,
        "requests": plan.requests,
        "blocks": plan.blocks,
    }
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(
        command, input=json.dumps(document), check=True, stdout=subprocess.PIPE, text=True
    )
    seconds: dict[str, list[float]] = json.loads(done.stdout)
    return seconds


async def _connection(port: int, path: str, count: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        seconds.append(time.perf_counter() - began)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path}: {head.decode()}{body.decode()}")
    writer.close()
    return seconds


async def _block(target: Target, connections: int, requests: int) -> list[float]:
    each = [_connection(*target, requests // connections) for _ in range(connections)]
    return [seconds for found in await asyncio.gather(*each) for seconds in found]


async def _measure(
    targets: Mapping[str, Target], connections: int, requests: int, blocks: int
) -> dict[str, list[float]]:
    for target in targets.values():
        await _block(target, connections, WARM_UP)
    seconds: dict[str, list[float]] = {name: [] for name in targets}
    for block in range(blocks):
        turn = list(targets)
        for name in turn if block % 2 == 0 else reversed(turn):
            seconds[name] += await _block(targets[name], connections, requests)
    return seconds


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(**json.load(sys.stdin)))))
