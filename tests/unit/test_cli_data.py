"""``tuner data`` against a server played by a function: what is said, and how it ends."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from tests.unit.test_client_data import begun, stored
from tuner.cli import app
from tuner.commands import data as commands

Answers = dict[tuple[str, str], Callable[[], httpx2.Response]]
Invoke = Callable[..., Result]


def listed(*uploaded: dict[str, Any]) -> httpx2.Response:
    entries: list[dict[str, Any]] = [{"name": "digits", "summary": "Digits."}]
    entries += [{"name": each["name"], "summary": ".", "uploaded": each} for each in uploaded]
    return httpx2.Response(200, json={"entries": entries})


def refuses(status: int) -> httpx2.Response:
    problem = {"title": "T", "status": status, "detail": "Refused so.", "instance": "/"}
    return httpx2.Response(status, json=problem | {"request_id": "r1", "hint": "Do that."})


@pytest.fixture
def answers() -> Answers:
    return {
        ("POST", "/v1/datasets"): lambda: begun(0),
        ("PATCH", "/v1/uploads/0123"): stored,
        ("GET", "/v1/datasets"): lambda: listed(stored().json()),
        ("DELETE", "/v1/datasets/points"): lambda: httpx2.Response(204),
    }


@pytest.fixture
def invoke(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    from tuner.client import Client

    def connect(url: str | None, token: str | None) -> Client:
        def handle(request: httpx2.Request) -> httpx2.Response:
            return answers[request.method, request.url.path]()

        transport = httpx2.MockTransport(handle)
        return Client(url, token=token, transport=transport, sleep=lambda seconds: None)

    monkeypatch.setattr(commands, "connect", connect)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, ["data", *arguments])


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "points.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    return str(path)


def test_an_upload_says_what_the_data_set_is_now(invoke: Invoke, file: str) -> None:
    result = invoke("add", file)
    assert (result.exit_code, result.stdout) == (0, "points: 1 file, 12 bytes\n")
    assert json.loads(invoke("add", file, "--json").stdout)["sha256"] == "cd"


def test_only_uploaded_data_are_listed(invoke: Invoke) -> None:
    lines = invoke("list").stdout.splitlines()
    assert lines[0].split() == ["name", "files", "bytes", "uploaded", "SHA-256"]
    assert lines[1].split() == ["points", "1", "12", "2025-01-01", "00:00", "cd"]
    assert len(lines) == 2
    [entry] = json.loads(invoke("list", "--json").stdout)["entries"]
    assert entry["uploaded"]["files"][0]["sha256"] == "ab"


def test_where_nothing_is_uploaded_the_way_to_do_it_is_shown(
    invoke: Invoke, answers: Answers
) -> None:
    answers["GET", "/v1/datasets"] = listed
    result = invoke("list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No data were uploaded. Upload some: tuner data add FILE\n"


def test_a_data_set_is_deleted(invoke: Invoke) -> None:
    assert invoke("delete", "points").stdout == "points deleted\n"
    assert json.loads(invoke("delete", "points", "--json").stdout) == {"deleted": "points"}


@pytest.mark.parametrize(("status", "code"), [(404, 4), (409, 5), (413, 2), (422, 2), (507, 1)])
def test_a_refusal_ends_with_its_exit_code(
    invoke: Invoke, answers: Answers, file: str, status: int, code: int
) -> None:
    answers["POST", "/v1/datasets"] = lambda: refuses(status)
    answers["DELETE", "/v1/datasets/points"] = lambda: refuses(status)
    for arguments in (("add", file), ("delete", "points")):
        result = invoke(*arguments)
        assert result.exit_code == code
        assert result.stderr.startswith("error: Refused so.\nhint: Do that.\n")


def test_a_missing_file_is_wrong_usage(invoke: Invoke) -> None:
    result = invoke("add", "nowhere.csv")
    assert result.exit_code == 2
    assert result.stderr == "error: There is no file nowhere.csv.\nhint: Check its name.\n"


def test_a_terminal_shows_how_far_a_large_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(
        "rich.console.Console", lambda stderr: Console(file=terminal, force_terminal=True, width=99)
    )
    with commands._bars() as progress:
        progress("small.csv", 5, 10)
        progress("large.bin", 0, commands.WORTH_A_BAR_BYTES)
        progress("large.bin", commands.WORTH_A_BAR_BYTES, commands.WORTH_A_BAR_BYTES)
    assert "large.bin" in terminal.getvalue()
    assert "33.6/33.6 MB" in terminal.getvalue()
    assert "small.csv" not in terminal.getvalue()
