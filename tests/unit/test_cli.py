"""The command line against a server played by a function: exit codes, stdout and stderr."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from tuner.cli import COMMANDS, app
from tuner.commands import jobs as commands
from tuner.commands.jobs import flat
from tuner.commands.watching import Board, render
from tuner.commands.words import duration, params, sparkline, whereabouts
from tuner.views import JobDetail, TrialProgress, TrialView

JOB: dict[str, Any] = {
    "id": "job_01J9ZZZZZZZZZZZZZZZZZZZZZA",
    "name": "digits",
    "state": "running",
    "model": "convnet",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "adamw",
    "metric": "val_accuracy",
    "direction": "maximize",
    "counts": {"created": 3, "running": 1, "completed": 2},
    "budget": {"trials": 10, "epochs": 5},
    "parallel": None,
    "priority": 0,
    "labels": {"team": "[red]vision[/]"},
    "revision": 1,
    "progress": {"fraction": 0.2, "finished": 2, "elapsed_seconds": 4.0},
    "best": {"number": 1, "value": 0.9875, "params": {"lr": 0.00123456, "depth": 3}},
    "created_at": "2025-01-01T00:00:00Z",
    "dashboard_url": "/dashboard/studies/1",
    "spec": {},
    "space": [],
    "seed": 1,
    "notes": ["depth was cut at 10."],
    "data_shape": {},
}
TRIAL: dict[str, Any] = {
    "number": 1,
    "state": "completed",
    "source": "sampler",
    "params": {"lr": 0.00123456, "depth": 3},
    "value": 0.9875,
    "created_at": "2025-01-01T00:00:00Z",
}
REQUEST = httpx2.Request("GET", "http://tuner")
BEST = {"metric": "val_accuracy", "direction": "maximize", "best": [TRIAL]}
SPEC = "model: convnet\ndata: digits\nloss: cross_entropy\noptimizer: adamw\n"

Answers = dict[tuple[str, str], Callable[[httpx2.Request], httpx2.Response]]
Invoke = Callable[..., Result]


def says(body: Any, status: int = 200) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda request: httpx2.Response(status, json=body)


def refuses(status: int, **changes: Any) -> Callable[[httpx2.Request], httpx2.Response]:
    problem = {"title": "T", "status": status, "detail": "Refused so.", "instance": "/"}
    return says(problem | {"request_id": "r1", "hint": "Do that."} | changes, status)


def event(seq: int, kind: str, **rest: Any) -> str:
    body = {"seq": seq, "kind": kind, "at": "2025-01-01T00:00:00Z", "data": {}} | rest
    return f"id: {seq}\ndata: {json.dumps(body)}\n\n"


@pytest.fixture
def answers() -> Answers:
    of_job = f"/v1/jobs/{JOB['id']}"
    return {
        ("GET", "/v1/jobs"): says({"jobs": [JOB]}),
        ("POST", "/v1/jobs"): says(JOB, 202),
        ("GET", of_job): says(JOB),
        ("GET", f"{of_job}/best"): says(BEST),
        ("GET", f"{of_job}/best/model"): lambda request: httpx2.Response(200, content=b"weights"),
        ("GET", f"{of_job}/best/card"): lambda request: httpx2.Response(200, text="# digits\n"),
        ("POST", f"{of_job}/pause"): says(JOB | {"state": "paused"}, 202),
        ("POST", f"{of_job}/cancel"): says(JOB | {"state": "cancelling"}, 202),
        ("DELETE", of_job): lambda request: httpx2.Response(204),
        ("GET", f"{of_job}/trials"): says({"trials": []}),
        ("POST", f"{of_job}/trials"): says(TRIAL, 201),
        ("GET", f"{of_job}/trials/1/logs"): lambda request: httpx2.Response(200, text="one\ntwo\n"),
    }


@pytest.fixture
def sent() -> list[httpx2.Request]:
    return []


@pytest.fixture
def invoke(
    answers: Answers, sent: list[httpx2.Request], home: Path, monkeypatch: pytest.MonkeyPatch
) -> Invoke:
    from tuner.client import Client

    def handle(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return answers[request.method, request.url.path](request)

    def connect(url: str | None, token: str | None) -> Client:
        transport = httpx2.MockTransport(handle)
        return Client(url, token=token, transport=transport, sleep=lambda seconds: None)

    monkeypatch.setattr(commands, "connect", connect)
    runner = CliRunner()
    return lambda *arguments, **rest: runner.invoke(app, list(arguments), **rest)


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return str(path)


def test_every_command_explains_itself(invoke: Invoke) -> None:
    for name in [*COMMANDS, "db", "data"]:
        result = invoke(name, "--help")
        assert result.exit_code == 0
        assert "Usage:" in result.stdout


def test_a_file_is_submitted_with_its_overrides(
    invoke: Invoke, spec: str, sent: list[httpx2.Request]
) -> None:
    result = invoke("submit", spec, "budget.trials=5", "space.lr={float: [1e-4, 0.1], log: true}")
    assert result.exit_code == 0
    document = json.loads(sent[0].content)
    assert document["model"] == "convnet"
    assert document["budget"] == {"trials": 5}
    assert document["space"] == {"lr": {"float": [0.0001, 0.1], "log": True}}
    assert JOB["id"] in result.stdout


def test_a_spec_is_read_from_stdin(invoke: Invoke, sent: list[httpx2.Request]) -> None:
    assert invoke("submit", "-", input=SPEC).exit_code == 0
    assert json.loads(sent[0].content)["optimizer"] == "adamw"


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("show", "latest"),
        ("best", "digits"),
        ("pause", "latest"),
        ("cancel", "latest"),
        ("enqueue", "latest", "lr=0.1"),
        ("delete", "latest"),
        ("submit", "-"),
    ],
)
def test_json_is_all_that_stands_on_stdout(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments, "--json", input=SPEC if "-" in arguments else None)
    assert result.exit_code == 0
    assert json.loads(result.stdout)


def test_text_of_others_is_shown_and_not_interpreted(invoke: Invoke) -> None:
    assert "[red]vision[/]" in invoke("show", "latest").stdout


def test_show_says_where_the_dashboard_is(invoke: Invoke) -> None:
    assert "http://127.0.0.1:8700/dashboard/studies/1" in invoke("show", "latest").stdout


@pytest.mark.parametrize(
    ("eta_seconds", "time"), [(None, "0:04"), (61.0, "0:04 so far, 1:01 to go")]
)
def test_show_says_how_long_it_takes_where_that_is_known(
    invoke: Invoke, answers: Answers, eta_seconds: float | None, time: str
) -> None:
    progress = JOB["progress"] | {"eta_seconds": eta_seconds}
    answers["GET", f"/v1/jobs/{JOB['id']}"] = says(JOB | {"progress": progress})
    assert f"time       {time}" in invoke("show", "latest").stdout.splitlines()


def test_show_says_where_trials_under_way_are(invoke: Invoke, answers: Answers) -> None:
    at = "2025-01-01T00:00:00Z"
    place = {"step": 3, "done": 42, "total": 99, "values": {}, "at": at}
    amid = TRIAL | {"number": 2, "state": "running", "last_step": 2, "progress": place}
    between = TRIAL | {"number": 3, "state": "running", "last_step": 4}
    answers["GET", f"/v1/jobs/{JOB['id']}/trials"] = says({"trials": [amid, between]})
    shown = invoke("show", "latest").stdout
    assert "trial 2: epoch 3/5, 42 %" in shown
    assert "trial 3: epoch 4/5" in shown


@pytest.fixture
def with_fixed(answers: Answers) -> dict[str, Any]:
    """A job whose best trial has parameters that were searched, asked for, and neither."""
    values = {"lr": 0.01, "depth": 3, "width": 48, "folds": 1, "accumulation": 1}
    job = JOB | {
        "best": {"number": 1, "value": 0.9875, "params": values},
        "spec": {"space": {"width": 48}},
        "space": [
            {"name": "lr", "float": [0.001, 0.1], "default": 0.01},
            {"name": "depth", "int": [1, 4], "default": 3},
            *({"name": name, "fixed": values[name]} for name in ("width", "folds", "accumulation")),
        ],
    }
    of_job, trial = f"/v1/jobs/{JOB['id']}", TRIAL | {"params": values}
    answers["GET", of_job] = says(job)
    answers["GET", f"{of_job}/best"] = says(BEST | {"best": [trial]})
    return values


@pytest.mark.usefixtures("with_fixed")
def test_best_tells_what_was_fixed_in_a_line_of_its_own(invoke: Invoke) -> None:
    head, *facts, fixed = invoke("best", "latest").stdout.splitlines()
    assert head == "val_accuracy 0.9875 (trial 1)"
    assert [line.split() for line in facts] == [["lr", "0.01"], ["depth", "3"], ["width", "48"]]
    assert fixed == "fixed: folds=1 accumulation=1"


def test_as_json_the_best_parameters_are_complete(
    invoke: Invoke, with_fixed: dict[str, Any]
) -> None:
    assert json.loads(invoke("best", "latest", "--json").stdout)["best"][0]["params"] == with_fixed


def test_a_line_has_the_parameters_that_were_searched_or_asked_for(
    invoke: Invoke, answers: Answers, with_fixed: dict[str, Any]
) -> None:
    line = "lr=0.01 depth=3 width=48"
    of_job, trial = f"/v1/jobs/{JOB['id']}", TRIAL | {"params": with_fixed}
    shown = invoke("show", JOB["id"]).stdout.splitlines()
    assert f"with       {line}" in shown
    answers["GET", f"{of_job}/best"] = says(BEST | {"best": [trial, trial | {"number": 0}]})
    assert [
        row.endswith(f"  {line}") for row in invoke("best", JOB["id"], "-k2").stdout.splitlines()
    ] == [False, True, True]
    news = event(1, "best_improved", trial=1, data={"value": 0.9, "params": with_fixed})
    headers = {"content-type": "text/event-stream"}
    answers["GET", f"{of_job}/events"] = lambda request: httpx2.Response(
        200, text=news + event(2, "succeeded"), headers=headers
    )
    answers["GET", of_job] = says(answers["GET", of_job](REQUEST).json() | {"state": "succeeded"})
    assert f"trial 1 best improved value=0.9 ({line})" in invoke("watch", JOB["id"]).stdout


def test_the_board_has_the_parameters_that_were_searched_or_asked_for(
    answers: Answers, with_fixed: dict[str, Any]
) -> None:
    job = JobDetail.model_validate(answers["GET", f"/v1/jobs/{JOB['id']}"](REQUEST).json())
    trial = TrialView.model_validate(TRIAL | {"params": with_fixed})
    console = Console(width=120)
    with console.capture() as captured:
        console.print(render(Board(job=job, trials=[trial]), width=120))
    assert captured.get().count("lr=0.01 depth=3 width=48") == 2
    assert "folds" not in captured.get()


def test_best_shows_value_and_parameters(invoke: Invoke) -> None:
    result = invoke("best", "latest")
    assert "val_accuracy 0.9875 (trial 1)" in result.stdout
    assert "0.001235" in result.stdout


@pytest.mark.parametrize(
    ("name", "arguments", "asked"),
    [
        ("best.safetensors", (), "safetensors"),
        ("best", (), "safetensors"),
        ("best.pt2", (), "torch_export"),
        ("best.onnx", (), "onnx"),
        ("best.bin", ("--format", "onnx"), "onnx"),
    ],
)
def test_the_best_network_comes_in_the_format_that_its_file_is_named_for(
    invoke: Invoke, sent: list[httpx2.Request], tmp_path: Path, name: str,
    arguments: tuple[str, ...], asked: str,
) -> None:  # fmt: skip
    file = tmp_path / name
    result = invoke("best", "latest", "--model", str(file), *arguments)
    assert result.exit_code == 0
    assert file.read_bytes() == b"weights"
    assert sent[-1].url.params["format"] == asked


def test_the_card_goes_to_a_file_or_alone_to_stdout(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("best", "latest", "--card", "-").stdout == "# digits\n"
    result = invoke("best", "latest", "--card", str(tmp_path / "card.md"))
    assert (tmp_path / "card.md").read_text() == "# digits\n"
    assert "0.9875" in result.stdout


def test_enqueued_names_may_hold_a_dot(invoke: Invoke, sent: list[httpx2.Request]) -> None:
    assert invoke("enqueue", "latest", "lr=1e-3", "model.width=32").exit_code == 0
    assert json.loads(sent[-1].content) == {"params": {"lr": 0.001, "model.width": 32}}


def test_a_log_is_shown_as_it_was_written(invoke: Invoke) -> None:
    assert invoke("logs", "latest", "1").stdout == "one\ntwo\n"


@pytest.mark.parametrize(
    ("status", "code"), [(404, 4), (409, 5), (422, 2), (401, 2), (413, 2), (500, 1)]
)
def test_a_refusal_ends_with_its_exit_code_and_one_block_on_stderr(
    invoke: Invoke, answers: Answers, status: int, code: int
) -> None:
    answers["GET", "/v1/jobs"] = refuses(status)
    result = invoke("list")
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("error: Refused so.\nhint: Do that.\n")


def test_every_fault_of_a_spec_is_listed_with_its_place(
    invoke: Invoke, answers: Answers, spec: str
) -> None:
    faults = [
        {"pointer": "/model", "code": "unknown", "detail": "'convnt': did you mean 'convnet'?"},
        {"pointer": "/budget/trials", "code": "ge", "detail": "must be at least 1."},
    ]
    answers["POST", "/v1/jobs"] = refuses(422, errors=faults)
    result = invoke("submit", spec)
    assert result.exit_code == 2
    assert "  /model: 'convnt': did you mean 'convnet'?\n" in result.stderr
    assert "  /budget/trials: must be at least 1.\n" in result.stderr


@pytest.mark.parametrize("text", ["model: [", "- a list\n", "model: a\nmodel: b\n"])
def test_a_file_that_is_no_spec_is_refused_without_asking_the_server(
    invoke: Invoke, sent: list[httpx2.Request], text: str
) -> None:
    result = invoke("submit", "-", input=text)
    assert result.exit_code == 2
    assert result.stderr.startswith("error:")
    assert sent == []


def test_a_missing_file_is_wrong_usage(invoke: Invoke) -> None:
    result = invoke("submit", "nowhere.yaml")
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.stderr


def test_no_server_has_an_exit_code_of_its_own(invoke: Invoke, answers: Answers) -> None:
    def nobody(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("Connection refused")

    answers["GET", "/v1/jobs"] = nobody
    result = invoke("list")
    assert result.exit_code == 3
    assert "tuner serve" in result.stderr


def test_no_such_name_has_an_exit_code_of_its_own(invoke: Invoke) -> None:
    assert invoke("show", "nobody").exit_code == 4


def test_a_wish_that_waits_for_a_scheduler_is_not_reported_as_done(
    invoke: Invoke, answers: Answers
) -> None:
    accepted = {"job": JOB["id"], "request": "enqueue", "detail": "Recorded."}
    answers["POST", f"/v1/jobs/{JOB['id']}/trials"] = says(accepted, 202)
    result = invoke("enqueue", "latest", "lr=0.1")
    assert result.exit_code == 6
    assert "recorded" in result.stderr


@pytest.mark.parametrize(("ending", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 1)])
def test_watching_without_a_terminal_writes_a_line_per_event(
    invoke: Invoke, answers: Answers, ending: str, code: int
) -> None:
    stream = (
        event(1, "trial_completed", trial=3, data={"value": 0.98, "step": 5})
        + event(2, "best_improved", trial=3, data={"value": 0.98, "params": {"lr": 0.1}})
        + event(3, ending)
    )
    headers = {"content-type": "text/event-stream"}
    of_job = f"/v1/jobs/{JOB['id']}"
    answers["GET", f"{of_job}/events"] = lambda request: httpx2.Response(
        200, text=stream, headers=headers
    )
    answers["GET", of_job] = says(JOB | {"state": ending})
    result = invoke("watch")
    assert result.exit_code == code
    lines = result.stdout.splitlines()
    assert lines[1].endswith("trial 3 completed value=0.98 step=5")
    assert lines[2].endswith("trial 3 best improved value=0.98 (lr=0.1)")
    assert lines[-1].startswith(ending)
    as_json = invoke("watch", "--json")
    assert [json.loads(line)["seq"] for line in as_json.stdout.splitlines()] == [1, 2, 3]


def test_ctrl_c_leaves_the_job_going_on_and_says_how_to_come_back(
    invoke: Invoke, answers: Answers
) -> None:
    def interrupt(request: httpx2.Request) -> httpx2.Response:
        raise KeyboardInterrupt

    answers["GET", f"/v1/jobs/{JOB['id']}/events"] = interrupt
    result = invoke("watch")
    assert result.exit_code == 130
    assert f"tuner watch {JOB['id']}" in result.stderr


def test_the_command_line_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = {"torch", "optuna", "sqlalchemy", "pydantic", "httpx2", "rich", "numpy", "fastapi"}
    code = f"import sys, tuner.cli; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0.4, "0:00"), (65, "1:05"), (3723, "1:02:03")]
)
def test_durations_are_short(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_parameters_are_cut_to_the_width_there_is() -> None:
    assert params({"lr": 0.00123456, "depth": 3}) == "lr=0.001235 depth=3"
    assert params({"lr": 0.00123456, "depth": 3}, 10) == "lr=0.0012…"


def test_a_sparkline_spans_its_values() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([2.0, 2.0]) == "▁▁"


def test_nested_overrides_become_flat_names() -> None:
    assert flat({"lr": 1, "model": {"width": {"first": 3}}}) == {"lr": 1, "model.width.first": 3}


def test_a_trial_is_where_it_was_last_heard_of() -> None:
    at = {"created_at": "2025-01-01T00:00:00Z", "at": "2025-01-01T00:00:00Z"}
    trial = TrialView.model_validate(TRIAL | at)
    assert whereabouts(trial) == "-"
    reported = trial.model_copy(update={"last_step": 3})
    assert (whereabouts(reported), whereabouts(reported, 15)) == ("3", "3/15")
    place = TrialProgress.model_validate({"step": 4, "done": 199, "total": 200} | at)
    amid = reported.model_copy(update={"progress": place})
    assert (whereabouts(amid), whereabouts(amid, 15)) == ("4, 99 %", "4/15, 99 %")
