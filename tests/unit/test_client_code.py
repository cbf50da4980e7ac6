"""Code by the client and ``tuner code``, against a server played by a function."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner, Result

from tests.archives import write
from tests.unit.test_client import Server, job_json, problem
from tuner.cli import app
from tuner.client import ApiError, Client, ServerUnreachable
from tuner.commands import code as commands
from tuner.commands import jobs as job_commands
from tuner.errors import SpecInvalid
from tuner.foreign.errors import CodeRefused
from tuner.foreign.packing import code_of

PROJECT = {"own/nets.py": "X = 1\n", "train.py": ""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "project", PROJECT)


@pytest.fixture
def sha256(folder: Path) -> str:
    return code_of(folder).sha256


def known(sha256: str, status: int = 200) -> httpx2.Response:
    at = "2026-06-01T12:00:00Z"
    code = {"sha256": sha256, "bytes": 6, "file_count": 2, "modules": ["own"], "used_at": at}
    return httpx2.Response(status, json={**code, "files": []})


def unknown() -> httpx2.Response:
    return problem(404, type="/problems#code-not-found")


def submitted() -> httpx2.Response:
    return httpx2.Response(202, json=job_json())


def paths(server: Server) -> list[str]:
    return [f"{request.method} {request.url.path}" for request in server.requests]


def test_code_the_server_has_is_not_sent(folder: Path, sha256: str) -> None:
    server = Server(known(sha256))
    with server.client() as tuner:
        assert tuner.add_code(folder).sha256 == sha256
    assert paths(server) == [f"GET /v1/code/{sha256}"]


def test_other_code_is_sent_whole_and_again_where_the_answer_was_lost(
    folder: Path, sha256: str
) -> None:
    server = Server(unknown(), httpx2.ReadError("connection reset"), known(sha256, 201))
    with server.client() as tuner:
        tuner.add_code(folder)
    assert paths(server)[1:] == [f"PUT /v1/code/{sha256}"] * 2
    first, again = server.requests[1:]
    assert first.content == again.content
    assert first.headers["content-type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first.content))) as archive:
        assert archive.getnames() == sorted(PROJECT)


def test_a_server_that_is_older_or_away_is_sent_nothing(folder: Path) -> None:
    server = Server(problem(404))
    with server.client() as tuner, pytest.raises(ApiError):
        tuner.add_code(folder)
    assert len(server.requests) == 1
    away = Server(*[httpx2.ConnectError("refused")] * 4)
    with away.client() as tuner, pytest.raises(ServerUnreachable):
        tuner.add_code(folder)


@pytest.mark.parametrize("kind", ["mapping", "yaml", "path"])
def test_a_submission_names_the_code_that_it_sent_first(
    folder: Path, tmp_path: Path, sha256: str, kind: str
) -> None:
    spec: Any = {"objective": "train:objective"}
    if kind == "yaml":
        spec = "objective: train:objective\n"
    elif kind == "path":
        spec = write(tmp_path, {"spec.yaml": "objective: train:objective\n"}) / "spec.yaml"
    server = Server(known(sha256), submitted())
    with server.client() as tuner:
        tuner.submit(spec, code=folder)
    assert paths(server) == [f"GET /v1/code/{sha256}", "POST /v1/jobs"]
    sent = json.loads(server.requests[1].content)
    assert sent == {"objective": "train:objective", "code": {"sha256": sha256}}


def test_a_spec_that_is_no_mapping_is_refused_and_nothing_is_sent(folder: Path) -> None:
    server = Server()
    with server.client() as tuner, pytest.raises(SpecInvalid, match="A spec is a mapping"):
        tuner.submit("- a\n", code=folder)


def test_code_that_is_none_is_refused_and_nothing_is_sent(tmp_path: Path) -> None:
    server = Server()
    with server.client() as tuner, pytest.raises(CodeRefused, match="There is no folder"):
        tuner.submit({"objective": "a:b"}, code=tmp_path / "nowhere")


class TestCommands:
    """``tuner code`` and ``tuner submit --code``."""

    @pytest.fixture
    def server(self) -> dict[str, Callable[[], httpx2.Response]]:
        return {}

    @pytest.fixture
    def invoke(
        self, server: Mapping[str, Callable[[], httpx2.Response]], monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., Result]:
        def connect(url: str | None, token: str | None) -> Client:
            def handle(request: httpx2.Request) -> httpx2.Response:
                return server[f"{request.method} {request.url.path}"]()

            transport = httpx2.MockTransport(handle)
            return Client(url, token=token, transport=transport, sleep=lambda seconds: None)

        for module in (commands, job_commands):
            monkeypatch.setattr(module, "connect", connect)
        return lambda *arguments: CliRunner().invoke(app, list(arguments))

    def test_code_is_added_listed_and_removed_by_its_beginning(
        self, invoke: Callable[..., Result], server: Any, folder: Path, sha256: str
    ) -> None:
        server[f"GET /v1/code/{sha256}"] = lambda: known(sha256)
        server["GET /v1/code"] = lambda: httpx2.Response(200, json={"code": [known(sha256).json()]})
        server[f"DELETE /v1/code/{sha256}"] = lambda: httpx2.Response(204)
        assert invoke("code", "add", str(folder)).stdout == f"{sha256}\n"
        assert json.loads(invoke("code", "add", str(folder), "--json").stdout)["file_count"] == 2
        head, line = invoke("code", "list").stdout.splitlines()
        assert head.split() == ["SHA-256", "files", "bytes", "last", "used", "modules"]
        assert line.split() == [sha256[:12], "2", "6", "2026-06-01", "12:00", "own"]
        assert json.loads(invoke("code", "list", "--json").stdout)["code"][0]["sha256"] == sha256
        assert invoke("code", "remove", sha256[:5]).stdout == f"{sha256} removed\n"
        removed = invoke("code", "remove", sha256, "--json").stdout
        assert json.loads(removed) == {"removed": sha256}

    def test_where_there_is_no_code_the_way_to_send_some_is_shown(
        self, invoke: Callable[..., Result], server: Any
    ) -> None:
        server["GET /v1/code"] = lambda: httpx2.Response(200, json={"code": []})
        result = invoke("code", "list")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "tuner submit --code FOLDER SPEC.yaml" in result.stderr

    def test_a_server_that_takes_no_code_is_wrong_usage_with_its_hint(
        self, invoke: Callable[..., Result], server: Any, folder: Path, sha256: str, tmp_path: Path
    ) -> None:
        server[f"GET /v1/code/{sha256}"] = unknown
        server[f"PUT /v1/code/{sha256}"] = lambda: problem(403, hint="Set it.")
        spec = write(tmp_path, {"spec.yaml": "objective: train:objective\n"}) / "spec.yaml"
        for arguments in (
            ("code", "add", str(folder)),
            ("submit", str(spec), "--code", str(folder)),
            ("submit", str(spec), "--code", str(folder), "--check"),
        ):
            result = invoke(*arguments)
            assert result.exit_code == 2
            assert "hint: Set it." in result.stderr

    def test_a_link_in_the_folder_is_wrong_usage(
        self, invoke: Callable[..., Result], folder: Path
    ) -> None:
        (folder / "link").symlink_to("/etc")
        result = invoke("code", "add", str(folder))
        assert (result.exit_code, result.stdout) == (2, "")
        assert "link is a link" in result.stderr
