"""``tuner serve`` as a user starts it: real processes, killed at their worst moments."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.servers import PATIENCE_S, command, process_of, running
from tuner.artifacts.opening import open_store
from tuner.client import Client, Job
from tuner.states import JobState

SPEC = {
    "model": "mlp",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "sgd",
    "budget": {"trials": 3, "epochs": 2},
    "search": {"pruner": "none"},
    # At the highest rates of the default range a training may diverge, and its trial fail.
    "space": {"lr": 0.05},
}


def serve_and_fail(*arguments: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        command("serve", *arguments),
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def finished(job: Job) -> None:
    """The job ended well, with exactly its budget."""
    view = job.wait(PATIENCE_S).view
    assert view.state is JobState.SUCCEEDED
    assert (view.counts.created, view.counts.completed) == (3, 3)


@pytest.mark.usefixtures("home")
def test_a_job_outlives_the_scheduler_and_nothing_outlives_the_server() -> None:
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(SPEC)
        first = next(event for event in tuner.events(job) if event.kind == "trial_started")
        assert first.trial == 0
        server.part("scheduler").kill()
        server.says("The scheduler ended (killed by SIGKILL); starting it again.")
        finished(job)
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.usefixtures("home")
def test_requests_wait_for_an_api_that_starts_again_at_the_same_address() -> None:
    with running() as server, Client(server.url) as tuner:
        before = server.part("api")
        before.kill()
        before.wait(PATIENCE_S)
        assert list(tuner.jobs()) == []
        assert server.part("api").pid != before.pid
        assert server.end(signal.SIGINT) == 0


@pytest.mark.usefixtures("home")
def test_the_processes_of_a_killed_server_end_by_themselves() -> None:
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(SPEC)
        next(event for event in tuner.events(job) if event.kind == "trial_started")
        assert server.end(signal.SIGKILL) == -signal.SIGKILL


@pytest.mark.usefixtures("home")
def test_a_port_taken_by_a_server_of_ours_is_named_as_such() -> None:
    with running() as server:
        code, said = serve_and_fail(f"--port={server.url.rpartition(':')[2]}")
        assert code == 1
        assert "is taken by a running Tuner" in said
        assert server.end(signal.SIGTERM) == 0


def test_a_port_taken_by_another_program_is_named_with_the_remedy(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        code, said = serve_and_fail(f"--port={other.getsockname()[1]}")
    assert code == 1
    assert "is taken by another program" in said
    assert "--port 8701" in said
    assert not home.exists()


@pytest.mark.usefixtures("home")
def test_an_open_address_without_a_token_is_refused() -> None:
    code, said = serve_and_fail("--host=0.0.0.0", "--port=0")
    assert code == 2
    assert "TUNER_API_TOKEN" in said


@pytest.mark.usefixtures("home")
def test_a_database_that_is_not_there_is_named_without_its_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"postgresql://me:geheim@127.0.0.1:{port}/tuner"
    code, said = serve_and_fail("--port=0", TUNER_DATABASE_URL=url)
    assert code == 1
    assert "database does not answer" in said
    assert "geheim" not in said


@pytest.mark.usefixtures("home")
def test_a_package_that_hides_ours_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").touch()
    code, said = serve_and_fail("--port=0", PYTHONPATH=str(tmp_path))
    assert code == 1
    assert str(tmp_path / "models") in said
    assert "PYTHONPATH" in said


@pytest.mark.usefixtures("home")
def test_the_api_alone_serves_until_it_is_told_to_stop() -> None:
    subprocess.run(command("db", "upgrade"), check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        process = subprocess.Popen(
            command("api", f"--fd={listener.fileno()}", "--log-level=error"),
            pass_fds=(listener.fileno(),),
            stderr=subprocess.PIPE,
            text=True,
        )
    with process, Client(f"http://{host}:{port}") as tuner:
        tuner.ready()
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (0, "")


@pytest.mark.usefixtures("home")
def test_a_demo_that_is_broken_off_is_taken_up_again() -> None:
    first = demo_until("Submitted job_")
    job = first.partition("Submitted ")[2].split()[0]
    second = demo_until("An earlier demo was not finished")
    assert job in second


def demo_until(text: str) -> str:
    """Start a demo, interrupt it when it says so; the line in which it did."""
    with subprocess.Popen(
        command("demo", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TUNER_PORT": "0", "TERM": "dumb", "COLUMNS": "200"},
    ) as process:
        assert process.stderr is not None
        line = next((line for line in process.stderr if text in line), "")
        server = process_of(process).children(recursive=True)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=PATIENCE_S)
    assert line, said
    assert process.returncode == 130
    assert "`tuner demo` goes on where this ended" in said[1]
    _, alive = psutil.wait_procs(server, timeout=PATIENCE_S)
    assert not alive
    return line


@pytest.mark.usefixtures("home")
def test_on_s3_a_job_leaves_its_network_in_the_bucket_and_takes_it_along_when_deleted(
    s3_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNER_ARTIFACTS", s3_address)
    store = open_store(s3_address)
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(SPEC)
        finished(job)
        (left,) = [file for file in store.files("jobs") if file.uri.endswith("model.safetensors")]
        assert left.uri.startswith(f"jobs/{job.id}/trials/")
        model = job.download_model(tmp_path / "model.safetensors")
        assert model.read_bytes() == store.read(left.uri)
        job.delete()
        assert store.files("jobs") == []
        assert server.end(signal.SIGTERM) == 0


def test_an_address_of_artifacts_that_nobody_understands_is_refused_at_the_start(
    home: Path,
) -> None:
    code, said = serve_and_fail("--port=0", TUNER_ARTIFACTS="nothing://here")
    assert code != 0
    assert "The artifact store nothing://here does not answer: Protocol not known" in said
    assert "TUNER_ARTIFACTS" in said
