"""Makes the databases of an older schema that lie beside this file.

    git worktree add /tmp/older REVISION
    python -m tests.databases.make /tmp/older tests/databases/NUMBER

The older code's own service writes them: jobs that ended in every way, one that is paused, and one
that was amid its trials when everything was killed. Its own answers are kept beside them.
"""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.postgres import PostgresServer

BASE = {"model": "mlp", "data": "digits", "loss": "cross_entropy", "optimizer": "sgd"}
SMALL = {"lr": 0.05, "width": 16, "depth": 1}
#: Slow enough that one of its trials is met while it trains.
LARGE = {"lr": 0.05, "width": 512, "depth": 3}


def spec(name: str, *, trials: int, epochs: int, space: dict[str, Any]) -> dict[str, Any]:
    budget = {"trials": trials, "epochs": epochs}
    return {**BASE, "name": name, "budget": budget, "space": space, "search": {"seed": 7}}


class Api:
    """The older service's interface."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.Client(base_url=url, timeout=60)

    def get(self, path: str) -> Any:
        answer = self._http.get(path)
        return answer.raise_for_status().json() if answer.content else None

    def post(self, path: str, body: Any = None) -> Any:
        return self._http.post(path, json=body).raise_for_status().json()

    def events(self, job: str) -> Iterator[dict[str, Any]]:
        with self._http.stream("GET", f"/v1/jobs/{job}/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def until(self, job: str, kind: str) -> None:
        next(event for event in self.events(job) if event["kind"] == kind)


def fill(api: Api) -> None:
    """Leave behind a job of each kind; the last is amid its trials."""
    good = spec("good", trials=5, epochs=3, space={"lr": {"float": [0.001, 0.1], "log": True}})
    good["labels"] = {"team": "vision"}
    api.until(api.post("/v1/jobs", good)["id"], "succeeded")
    diverging = spec("diverging", trials=2, epochs=2, space={**SMALL, "lr": 1e9})
    api.until(api.post("/v1/jobs", diverging)["id"], "failed")
    cancelled = api.post("/v1/jobs", spec("cancelled", trials=9, epochs=900, space=SMALL))["id"]
    api.until(cancelled, "trial_started")
    api.post(f"/v1/jobs/{cancelled}/cancel")
    api.until(cancelled, "cancelled")
    paused = api.post("/v1/jobs", spec("paused", trials=8, epochs=15, space=LARGE))["id"]
    api.until(paused, "trial_completed")
    api.post(f"/v1/jobs/{paused}/pause")
    api.until(paused, "trial_retried")
    under_way = api.post("/v1/jobs", spec("under way", trials=8, epochs=15, space=LARGE))["id"]
    api.until(under_way, "trial_completed")


def answers(api: Api) -> dict[str, Any]:
    """What the older service says of its jobs, once nothing goes on any more."""
    found = {}
    for job in api.get("/v1/jobs")["jobs"]:
        at = f"/v1/jobs/{job['id']}"
        trials = api.get(f"{at}/trials?page_size=500")["trials"]
        found[job["id"]] = {
            "job": api.get(at),
            "trials": trials,
            "best": api.get(f"{at}/best?k=3")["best"] if job["counts"]["completed"] else [],
            "attempts": [api.get(f"{at}/trials/{t['number']}/attempts") for t in trials],
            "curves": [api.get(f"{at}/trials/{t['number']}/metrics") for t in trials],
        }
    return found


@contextmanager
def running(code: Path, url: str, home: str, *words: str, **how: Any) -> Iterator[Any]:
    """A process of the older code, on a database and a home of its own; killed in the end."""
    given = {"PYTHONPATH": str(code), "TUNER_HOME": home, "TUNER_DATABASE_URL": url}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "tuner.cli", *words],
        env=os.environ | given | {"TUNER_CPUS": "2"},
        **how,
    ) as process:
        family = psutil.Process(process.pid)
        try:
            yield process
        finally:
            for one in [*family.children(recursive=True), family]:
                one.send_signal(signal.SIGKILL)


def write(code: Path, url: str, folder: Path, name: str) -> None:
    """Fill the database at `url`, and keep what the older service answers."""
    with tempfile.TemporaryDirectory() as home:
        serve = ("serve", "--port=0", "--json")
        with running(code, url, home, *serve, stdout=subprocess.PIPE, text=True) as process:
            fill(Api(json.loads(process.stdout.readline())["url"]))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            descriptor = listener.fileno()
            with running(code, url, home, "api", f"--fd={descriptor}", pass_fds=(descriptor,)):
                found = answers(Api(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    (folder / f"{name}.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


def statements(dump: str) -> str:
    """The statements of a dump alone, which any version's server takes."""
    skipped = ("--", "\\", "SET ", "SELECT pg_catalog.set_config")
    lines = [line for line in dump.splitlines() if line and not line.startswith(skipped)]
    return "\n".join(lines) + "\n"


def main(code: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "sqlite.db"
    file.unlink(missing_ok=True)
    write(code, f"sqlite:///{file.resolve()}", folder, "sqlite")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
    Path(f"{file}.leader").unlink()
    with PostgresServer() as server:
        url = server.create("tuner")
        write(code, url, folder, "postgres")
        dump = server.dump("tuner")
    (folder / "postgres.sql").write_text(statements(dump))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
