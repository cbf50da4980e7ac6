"""docker-compose.yml, proven: its commands, with its environment, on a real PostgreSQL.

Everything a container would give is put in its place: the database's address, the volume's and
the data's folder, the address to bind, and the program's interpreter.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.postgres import PostgresServer
from tuner.client import ApiError, Client
from tuner.states import JobState

ROOT = Path(__file__).parents[2]
PATIENCE_S = 100.0
#: What the operator exports before `docker compose up`.
OPERATOR = {"POSTGRES_PASSWORD": "pw0123456789", "TUNER_API_TOKEN": "token0123456789"}
SPEC = {
    "model": "mlp",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "adamw",
    "budget": {"trials": 3, "epochs": 2},
    "search": {"pruner": "none"},
}


def interpolated(value: Any) -> Any:
    """`value` with ``${NAME:-default}`` and ``${NAME:?complaint}`` as compose reads them."""
    match value:
        case str():
            return re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", _exported, value)
        case list():
            return [interpolated(item) for item in value]
        case dict():
            return {key: interpolated(item) for key, item in value.items()}
        case _:
            return value


def _exported(match: re.Match[str]) -> str:
    name, kind, rest = match.groups()
    assert name in OPERATOR or kind == ":-", f"{name} must be exported: {rest}"
    return str(OPERATOR.get(name, rest))


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    document = interpolated(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))
    found: dict[str, dict[str, Any]] = document["services"]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What this machine gives in place of what the containers would have."""

    database_url: str
    home: Path
    data: Path
    port: int

    def environment(self, service: Mapping[str, Any]) -> dict[str, str]:
        """The service's environment, and nothing of ours but what finds programs."""
        places = {"/var/lib/tuner": str(self.home), "/data": str(self.data), "0.0.0.0": "127.0.0.1"}
        given = {name: places.get(value, value) for name, value in service["environment"].items()}
        given["TUNER_DATABASE_URL"] = self.database_url
        if "TUNER_PORT" in given:
            given["TUNER_PORT"] = str(self.port)
        return {"PATH": os.environ["PATH"], **given}

    def command(self, service: Mapping[str, Any]) -> list[str]:
        """What the image's entry point is given."""
        return [sys.executable, "-P", "-m", "tuner.cli", *service["command"]]

    def is_healthy(self, service: Mapping[str, Any]) -> bool:
        """Whether the service's own health check succeeds."""
        kind, program, *arguments = service["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python")
        here = [argument.replace(":8700", f":{self.port}") for argument in arguments]
        return subprocess.run([sys.executable, *here], capture_output=True).returncode == 0


@pytest.fixture
def host(postgres: PostgresServer, tmp_path: Path) -> Host:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for folder in ("home", "data"):
        (tmp_path / folder).mkdir()
    url = postgres.create("compose")
    return Host(database_url=url, home=tmp_path / "home", data=tmp_path / "data", port=port)


@contextmanager
def started(host: Host, service: Mapping[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """The service as a process; on leaving it is stopped as compose does and must end well."""
    with subprocess.Popen(host.command(service), env=host.environment(service)) as process:
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()


def wait_until_healthy(host: Host, service: Mapping[str, Any], process: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not host.is_healthy(service):
        assert process.poll() is None, "the service ended"
        assert time.monotonic() < deadline, "the service is not healthy"


def test_the_order_is_gated_by_health(services: Mapping[str, Any]) -> None:
    gates = {
        name: {other: gate["condition"] for other, gate in service["depends_on"].items()}
        for name, service in services.items()
        if "depends_on" in service
    }
    migrated = {"migrate": "service_completed_successfully"}
    assert gates["migrate"] == {"database": "service_healthy"}
    assert gates["api"] == migrated
    assert gates["scheduler"] == {**migrated, "api": "service_healthy"}
    assert "pg_isready" in services["database"]["healthcheck"]["test"]


def test_the_database_is_the_one_everyone_asks(services: Mapping[str, Any]) -> None:
    made = services["database"]["environment"]
    for name in ("migrate", "api", "scheduler", "scheduler-gpu"):
        url = urlsplit(services[name]["environment"]["TUNER_DATABASE_URL"])
        assert (url.hostname, url.port, url.path) == ("database", 5432, f"/{made['POSTGRES_DB']}")
        assert url.username == made["POSTGRES_USER"]
        assert url.password == made["POSTGRES_PASSWORD"] == OPERATOR["POSTGRES_PASSWORD"]


def test_api_and_scheduler_share_one_volume(services: Mapping[str, Any]) -> None:
    for name in ("api", "scheduler", "scheduler-gpu"):
        (target,) = (v.partition(":")[2] for v in services[name]["volumes"] if "tuner:" in v)
        assert target == services[name]["environment"]["TUNER_HOME"]


def test_gpus_are_reserved_by_a_scheduler_of_their_own(services: Mapping[str, Any]) -> None:
    plain, gpu = services["scheduler"], services["scheduler-gpu"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert gpu["profiles"] == ["gpu"]
    assert "deploy" not in plain
    assert "profiles" not in plain
    assert (gpu["command"], gpu["environment"]) == (plain["command"], plain["environment"])


@pytest.mark.postgres
def test_a_job_goes_through_the_composed_services(services: Mapping[str, Any], host: Host) -> None:
    migrate = services["migrate"]
    subprocess.run(host.command(migrate), env=host.environment(migrate), check=True)
    with ExitStack() as running:
        api = running.enter_context(started(host, services["api"]))
        wait_until_healthy(host, services["api"], api)
        running.enter_context(started(host, services["scheduler"]))
        url = f"http://127.0.0.1:{host.port}"
        with Client(url, token="wrong") as stranger, pytest.raises(ApiError, match="oken"):
            stranger.submit(SPEC)
        tuner = running.enter_context(Client(url, token=OPERATOR["TUNER_API_TOKEN"]))
        job = tuner.submit(SPEC).wait(PATIENCE_S)
        assert job.view.state is JobState.SUCCEEDED
        assert job.view.counts.completed == 3
        assert job.best().best[0].value == job.view.best.value
        model = job.download_model(host.home / "best.safetensors")
        assert model.stat().st_size > 1000
