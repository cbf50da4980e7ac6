"""The dashboard as a browser meets it: a real api process, and behind it the dashboard's own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.testclient import TestClient

from app import dashboard, errors
from tests.filled import add_job, add_reports, add_trial
from tuner.db import Database, trials

API = """
import socket, sys, uvicorn
from app.main import create_app
listening = socket.socket(fileno=int(sys.argv[1]))
uvicorn.Server(uvicorn.Config(create_app(), log_level="warning")).run([listening])
"""
#: A loaded machine imports the dashboard's libraries in many seconds.
PATIENCE_S = 100.0


class Server:
    """An api process, and how to ask it."""

    def __init__(self, process: subprocess.Popen[bytes], client: httpx2.Client) -> None:
        self.process = process
        self.client = client

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.client.get(path, **options)

    def dashboards(self) -> list[psutil.Process]:
        """The dashboard processes it has started that are alive."""
        return [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if child.status() != psutil.STATUS_ZOMBIE and "app.dashboard_server" in child.cmdline()
        ]


@contextmanager
def serving(url: str, home: Path, **environment: str) -> Iterator[Server]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        # Requests wait here until the process answers.
        listening.listen()
        port = listening.getsockname()[1]
        settings = {
            "TUNER_DATABASE_URL": url,
            "TUNER_HOME": str(home),
            "TUNER_PORT": str(port),
            "TMPDIR": str(home),
        }
        home.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", API, str(listening.fileno())],
            env=os.environ | settings | environment,
            pass_fds=[listening.fileno()],
        )
    client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S)
    try:
        yield Server(process, client)
    finally:
        client.close()
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def filled_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with one job of five trials."""
    file = shutil.copy(sqlite_template, tmp_path_factory.mktemp("filled") / "tuner.db")
    url = f"sqlite:///{file}"
    with closing(Database(url)) as database:
        job = add_job(database)
        for number, value in enumerate([0.5, 0.9, 0.7]):
            add_trial(database, job, number, value=value, reports={1: 0.2, 2: value})
        add_trial(database, job, 3, "pruned", reports={1: 0.1})
        add_trial(database, job, 4, "running", reports={1: 0.3})
    return url


@pytest.fixture(scope="module")
def server(filled_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(filled_url, tmp_path_factory.mktemp("home")) as server:
        yield server


def test_the_page_and_its_script_are_served(server: Server) -> None:
    page = server.get("/dashboard")
    assert page.status_code == 200
    assert 'src="/static/bundle.js"' in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert server.get("/dashboard/studies/1").text == page.text
    script = server.get("/static/bundle.js", headers={"accept-encoding": "gzip"})
    assert script.headers["content-encoding"] == "gzip"
    assert len(script.content) > 5_000_000
    assert len(server.get("/favicon.ico").content) > 100


def test_a_client_that_names_no_encoding_is_served_too(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.client.base_url.port or 0)) as raw:
        host = f"127.0.0.1:{server.client.base_url.port}"
        raw.sendall(f"HEAD /favicon.ico HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert raw.recv(4096).startswith(b"HTTP/1.1 200")


def test_the_study_shows_what_the_tables_hold(server: Server) -> None:
    (study,) = server.get("/api/studies").json()["study_summaries"]
    assert study["study_name"] == "digits (job_01J0000000000000000000DIGITS)"
    detail = server.get(f"/api/studies/{study['study_id']}").json()
    assert [t["number"] for t in detail["best_trials"]] == [1]
    assert [t["state"] for t in detail["trials"]] == [
        "Complete",
        "Complete",
        "Complete",
        "Pruned",
        "Running",
    ]
    assert detail["has_intermediate_values"]
    assert detail["objective_names"] == ["val_accuracy"]
    table = server.get(f"/csv/{study['study_id']}").text.splitlines()
    assert table[0].startswith("Number,State,val_accuracy,Param depth")
    assert len(table) == 6


@pytest.mark.postgres
def test_a_running_trial_is_seen_to_go_on(postgres_database: Database, tmp_path: Path) -> None:
    database = postgres_database
    url = database.url.render_as_string(hide_password=False)
    job = add_job(database, direction="minimize", metric="val_loss")
    trial = add_trial(database, job, 0, "running", reports={1: 0.9}, metric="val_loss")
    with serving(url, tmp_path / "home") as server:
        before = server.get(f"/api/studies/{job}").json()["trials"]
        with database.writing() as connection:
            add_reports(connection, trial, {2: 0.8}, "val_loss")
            ended = sa.update(trials).where(trials.c.id == trial)
            connection.execute(ended.values(state="completed", value=0.8))
        # The page keeps what it has read for two seconds; another address does not.
        after = server.get(f"/csv/{job}").text
    assert [v["value"] for v in before[0]["intermediate_values"]] == [0.9]
    assert "0,COMPLETE,0.8," in after


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/api/studies", "/api/studies/1", "/dashboard", "/csv/1"])
def test_nothing_can_be_changed_through_the_dashboard(
    server: Server, method: str, path: str
) -> None:
    answer = server.client.request(method, path, json={})
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"] == "GET, HEAD"


def test_the_plot_of_a_hundred_megabytes_is_left_out(server: Server) -> None:
    for path in ("/api/studies/1/plot/contour", "/api/studies/1/plot/contour/"):
        answer = server.get(path)
        assert answer.status_code == 403
        assert "too large" in answer.json()["detail"]


def test_what_is_not_there_is_not_found(server: Server) -> None:
    assert server.get("/api/studies/77").status_code == 404
    assert server.get("/static/nothing.js").status_code == 404


def test_the_process_starts_at_a_visit_again_if_it_died_and_never_outlives_the_api(
    filled_url: str, tmp_path: Path
) -> None:
    with serving(filled_url, tmp_path / "home") as server:
        assert server.get("/healthz").status_code == 200
        assert server.dashboards() == []
        assert server.get("/api/studies").status_code == 200
        (first,) = server.dashboards()
        first.kill()
        psutil.wait_procs([first], timeout=PATIENCE_S)
        assert server.get("/api/studies").status_code == 200
        (second,) = server.dashboards()
        assert second.pid != first.pid
        server.process.kill()
        assert psutil.wait_procs([second], timeout=PATIENCE_S)[1] == []


def test_the_process_ends_with_an_api_that_is_told_to_end(filled_url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(filled_url, home) as server:
        server.get("/api/studies")
        children = server.dashboards()
        assert len(list(home.glob("tuner-dashboard-*"))) == 1
        server.client.close()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=PATIENCE_S)
        assert psutil.wait_procs(children, timeout=PATIENCE_S)[1] == []
        assert list(home.glob("tuner-dashboard-*")) == []


def test_the_token_guards_the_dashboard_and_stays_with_the_api(
    filled_url: str, tmp_path: Path
) -> None:
    deep = tmp_path / ("a-name-longer-than-the-path-of-a-socket-may-be-" * 3) / "h"
    deep.mkdir(parents=True)
    with serving(filled_url, deep, TUNER_API_TOKEN="s3cret-of-the-test") as server:
        assert server.get("/dashboard").status_code == 401
        assert server.get("/api/studies").status_code == 401
        assert server.dashboards() == []
        with_token = {"authorization": "Bearer s3cret-of-the-test"}
        assert server.get("/api/studies", headers=with_token).status_code == 200
        (child,) = server.dashboards()
        assert "TUNER_API_TOKEN" not in child.environ()


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[TestClient]:
    """The dashboard over a database that has no tables, so that its process ends at once."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        async with dashboard.Dashboard(f"sqlite:///{tmp_path / 'empty.db'}") as app.state.dashboard:
            yield

    app = FastAPI(lifespan=lifespan)
    errors.install(app)
    app.router.routes.extend(dashboard.router.routes)
    with TestClient(app) as client:
        yield client


def test_a_process_that_cannot_start_is_a_problem_with_its_reason(broken: TestClient) -> None:
    answer = broken.get("/api/studies")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "ended with exit code 1" in answer.json()["detail"]
    page = broken.get("/dashboard", headers={"accept": "text/html,*/*"})
    assert page.status_code == 503
    assert page.headers["content-type"].startswith("text/html")
    assert "The dashboard is not available" in page.text
