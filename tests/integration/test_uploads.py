"""Uploads to a real server that is killed in the middle of them."""

import hashlib
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.servers import PATIENCE_S, Server, command, running
from tuner.client import Client

LENGTH = 20_000_000
#: Sent before the kill; a server may still hold up to 1 MiB of it in its memory.
SHARE = 5_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Bytes of which no two parts are alike."""
    path = tmp_path / "noise.bin"
    digests = (hashlib.sha512(str(i).encode()).digest() for i in range(LENGTH // 64))
    path.write_bytes(b"".join(digests))
    return path


def begin_and_kill(server: Server, file: Path, home: Path) -> int:
    """Kill the api in the middle of a request; the bytes it then has on its disk."""
    content = file.read_bytes()
    params = {
        "name": "noise", "filename": file.name, "sha256": hashlib.sha256(content).hexdigest()
    }  # fmt: skip
    headers = {"Upload-Complete": "?0", "Upload-Length": str(len(content))}
    place = urlsplit(server.url)
    with httpx2.Client(base_url=server.url, timeout=PATIENCE_S) as http:
        upload = http.post("/v1/datasets", params=params, headers=headers).headers["location"]
        with socket.create_connection((place.hostname, place.port)) as connection:
            head = (
                f"PATCH {upload} HTTP/1.1\r\nHost: {place.netloc}\r\nUpload-Offset: 0\r\n"
                f"Content-Length: {len(content)}\r\n\r\n"
            )
            connection.sendall(head.encode() + content[:SHARE])
            while int(http.head(upload).headers["upload-offset"]) < SHARE // 2:
                pass
            kill_api(server)
    return (home / "datasets" / ".uploads" / upload.rpartition("/")[2] / "data").stat().st_size


def kill_api(server: Server) -> None:
    api = server.part("api")
    api.kill()
    api.wait(PATIENCE_S)


@pytest.mark.usefixtures("home")
def test_an_upload_goes_on_where_a_killed_server_had_it(file: Path, home: Path) -> None:
    with running() as server:
        arrived = begin_and_kill(server, file, home)
        steps: list[int] = []
        with Client(server.url) as tuner:
            data = tuner.add_data(file, progress=lambda name, sent, total: steps.append(sent))
        assert SHARE // 2 <= arrived <= SHARE
        assert steps[0] == arrived
        assert data.files[0].sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert (home / "datasets" / "noise" / "noise.bin").stat().st_size == LENGTH
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.usefixtures("home")
def test_a_client_goes_on_by_itself_when_the_server_is_killed(file: Path) -> None:
    with running() as server, Client(server.url) as tuner:
        killed: list[int] = []
        steps: list[int] = []

        def kill_once(name: str, sent: int, total: int) -> None:
            steps.append(sent)
            if sent and not killed:
                killed.append(sent)
                kill_api(server)

        tuner.add_data([file], "noise", progress=kill_once)
        assert steps.count(0) == 1
        assert steps == sorted(steps)
        assert steps[-1] == LENGTH
        [data] = [entry.uploaded for entry in tuner.data() if entry.uploaded]
        assert data.bytes == LENGTH
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.usefixtures("home")
def test_the_command_uploads_lists_and_deletes(tmp_path: Path) -> None:
    table = tmp_path / "points.csv"
    table.write_text("a,b\n1,2\n")

    def tuner(*arguments: str) -> str:
        done = subprocess.run(
            command("data", *arguments, "--url", server.url),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        return done.stdout

    with running() as server:
        assert tuner("add", str(table)) == "points: 1 file, 8 bytes\n"
        assert tuner("add", str(table)) == "points: 1 file, 8 bytes\n"
        assert "points" in tuner("list")
        assert tuner("delete", "points") == "points deleted\n"
        assert tuner("list") == ""
        assert server.end(signal.SIGTERM) == 0
