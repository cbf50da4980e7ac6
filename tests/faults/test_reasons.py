"""Every reason there is: a worker process that ends so, and what the API and the CLI say of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from app.main import create_app
from tests.factories import StoredJob
from tests.faults.counting import Counts
from tests.faults.endings import LAST_WORDS
from tests.invariants import assert_invariants
from tests.stand import Stand
from tuner.artifacts.places import log_root
from tuner.cli import app
from tuner.client import Client
from tuner.commands import jobs as commands
from tuner.db import Database
from tuner.executors.local import LocalExecutor
from tuner.settings import Settings
from tuner.states import Reason

TAIL_BYTES = 64 << 10


def by_itself(stand: Stand, job: StoredJob) -> None:
    """Nobody interferes."""


def in_time(stand: Stand, job: StoredJob) -> None:
    """Time passes once it hangs."""
    stand.until(lambda: any(a.place for a in stand.loop.state.attempts_of(job.id)))
    stand.later += timedelta(minutes=6)


def asked_to(kind: str) -> Callable[[Stand, StoredJob], None]:
    def ask(stand: Stand, job: StoredJob) -> None:
        stand.until(lambda: stand.trials(job) and stand.trials(job)[0]["last_step"])
        stand.answer(stand.request(job, kind))

    return ask


def under_another_scheduler(stand: Stand, job: StoredJob) -> None:
    """The scheduler is gone, its workers with it, and another finds what it left."""
    stand.until(lambda: stand.trials(job) and stand.trials(job)[0]["last_step"])
    for attempt in stand.loop.state.attempts:
        stand.executor.kill(attempt)
    stand.loop.close()
    stand.begin()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A program that ends an attempt so, and what is to be seen of it."""

    program: str
    interfere: Callable[[Stand, StoredJob], None] = by_itself
    state: str = "failed"
    attempts: int = 1
    #: Of the trial once it has ended; the attempts' where it is None.
    trial: str | None = None
    exit_code: int | None = None
    detail: str = ""
    traceback: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    #: Jobs that end so in the full count.
    full: int = 1


SHORT = {"trial_minutes": 5}
PATIENT = {"no_progress_minutes": 5}

ENDINGS: Mapping[Reason, list[Ending]] = {
    Reason.WORKER_LOST: [
        Ending(program="is_killed", state="lost", attempts=3, exit_code=-9, detail="SIGKILL")
    ],
    Reason.CRASHED: [Ending(program="aborts", attempts=3, exit_code=-6, detail="SIGABRT")],
    Reason.OOM_HOST: [
        Ending(
            program="asks_pytorch_for_too_much_memory",
            attempts=3,
            detail="DefaultCPUAllocator",
            full=9,
            traceback="torch.ones(1 << 28)",
        ),
        Ending(
            program="asks_python_for_too_much_memory",
            attempts=3,
            detail="MemoryError",
            full=9,
            traceback="bytearray(1 << 30)",
        ),
    ],
    Reason.DISK_FULL: [
        Ending(
            program="fills_the_disk",
            attempts=3,
            detail="No space left on device",
            traceback='full.write(b"x")',
        )
    ],
    Reason.CHECKPOINT_CORRUPT: [
        Ending(program="finds_no_whole_checkpoint", attempts=3, detail="No checkpoint is whole.")
    ],
    Reason.PREEMPTED: [
        Ending(program="goes_on", interfere=asked_to("pause"), state="preempted", trial="cancelled")
    ],
    Reason.SCHEDULER_LOST: [
        Ending(
            program="goes_on",
            interfere=under_another_scheduler,
            state="lost",
            trial="cancelled",
            detail="The scheduler ended while this ran.",
        )
    ],
    Reason.OOM_GPU: [
        Ending(
            program="runs_out_of_gpu_memory",
            attempts=2,
            trial="infeasible",
            detail="CUDA out of memory",
            full=50,
            traceback="raise torch.OutOfMemoryError",
        )
    ],
    Reason.CUDA_ERROR: [
        Ending(
            program="errs_on_the_gpu",
            attempts=3,
            detail="device-side assert",
            full=7,
            traceback="raise torch.AcceleratorError",
        )
    ],
    Reason.NAN: [Ending(program="diverges", detail="The value is nan.")],
    Reason.INFEASIBLE: [Ending(program="cannot_be", detail="There is no such network.")],
    Reason.TIMEOUT: [
        Ending(
            program="hangs",
            interfere=in_time,
            exit_code=-9,
            detail="It took longer than limits.trial_minutes = 5.",
            full=25,
            limits=SHORT,
        )
    ],
    Reason.NO_PROGRESS: [
        Ending(
            program="hangs",
            interfere=in_time,
            exit_code=-9,
            detail="It made no progress for limits.no_progress_minutes = 5.",
            full=25,
            limits=PATIENT,
        )
    ],
    Reason.USER_ERROR: [
        Ending(program="raises", detail="ValueError: as users' code does", traceback="raise Value")
    ],
    Reason.NO_RESULT: [
        Ending(
            program="leaves_by_the_back_door", exit_code=0, detail="exited with code 0", full=20
        ),
        Ending(
            program="leaves_by_the_front_door",
            detail="sys.exit(0)",
            traceback="SystemExit: 0",
            full=20,
        ),
    ],
    Reason.CANCELLED: [Ending(program="goes_on", interfere=asked_to("cancel"), state="cancelled")],
    Reason.PRUNED: [Ending(program="is_done_too_early", state="pruned")],
}
CASES = [
    pytest.param(reason, ending, id=f"{reason}-{ending.program}")
    for reason, endings in ENDINGS.items()
    for ending in endings
]


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[Stand, TestClient]]:
    """A scheduler with real workers, and the API over its database."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, database_url=f"sqlite:///{home / 'tuner.db'}")
    (home / "tuner.db").write_bytes(sqlite_template.read_bytes())
    with ExitStack() as stack:
        database = Database(settings.url)
        stack.callback(database.close)
        executor = LocalExecutor(log_root(settings.artifacts), clock=lambda: stand.steady())
        stand = Stand(database, settings, executor)
        stack.enter_context(stand)
        client = TestClient(create_app(settings), base_url="http://127.0.0.1:8700")
        yield stand, stack.enter_context(client)
        assert_invariants(database)


def run(stand: Stand, ending: Ending) -> StoredJob:
    """A job of one trial that ends so; its last attempt is over when this returns."""
    stand.program = f"tests.faults.endings:{ending.program}"
    job = stand.submit(budget={"trials": 1, "epochs": 3}, limits=dict(ending.limits))
    ending.interfere(stand, job)

    def over() -> bool:
        stand.later += timedelta(seconds=0.2)  # what is tried again is tried soon
        ended = [a for a in stand.attempts(job) if a["trial_id"] and a["finished_at"]]
        return len(ended) >= ending.attempts

    stand.until(over)
    if stand.job(job)["finished_at"] is None:
        stand.answer(stand.request(job, "cancel"))
    stand.finish(job)
    return job


def shown(api: TestClient, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What the command line prints, over this API."""

    def forward(request: httpx2.Request) -> httpx2.Response:
        found = api.request(request.method, request.url.raw_path.decode())
        return httpx2.Response(found.status_code, headers=found.headers, content=found.content)

    def connect(url: str | None, token: str | None) -> Client:
        return Client("http://127.0.0.1:8700", transport=httpx2.MockTransport(forward))

    monkeypatch.setattr(commands, "connect", connect)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_reason_has_an_ending() -> None:
    assert set(ENDINGS) == set(Reason)


@pytest.mark.parametrize(("reason", "ending"), CASES)
def test_an_attempt_that_ends_is_explained(
    place: tuple[Stand, TestClient],
    monkeypatch: pytest.MonkeyPatch,
    rounds: Callable[[int, int], int],
    counted: Counts,
    reason: Reason,
    ending: Ending,
) -> None:
    stand, api = place
    with counted("attempts made to end for each reason there is", "SQLite") as count:
        for _ in range(rounds(1, ending.full)):
            job = run(stand, ending)
            _is_explained(api, monkeypatch, job, reason, ending)
            count.add(ending.attempts, explained=ending.attempts)


def _is_explained(
    api: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    job: StoredJob,
    reason: Reason,
    ending: Ending,
) -> None:
    trial = f"/v1/jobs/{job.ulid}/trials/0"
    found = api.get(f"{trial}/attempts").json()["attempts"]
    assert len([a for a in found if a["reason"] == reason]) == ending.attempts
    first = found[0]
    assert (first["reason"], first["state"]) == (reason, ending.state)
    assert first["exit_code"] == ending.exit_code
    assert ending.detail in (first["detail"] or "")
    assert (ending.traceback is None) == (first["traceback"] is None)
    assert (ending.traceback or "") in (first["traceback"] or "")
    assert api.get(trial).json()["reason"] == (ending.trial or reason)
    last = {"range": f"bytes=-{TAIL_BYTES}"}
    log = api.get(f"{trial}/logs", params={"attempt": first["id"]}, headers=last).content
    assert len(log) == TAIL_BYTES
    assert log.endswith(f"{LAST_WORDS}\n".encode())
    assert str(reason) in shown(api, monkeypatch, "show", job.ulid, "0")
    assert LAST_WORDS in shown(api, monkeypatch, "logs", job.ulid, "0")


def test_a_failed_trial_is_named_in_its_job_s_overview(
    place: tuple[Stand, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand, api = place
    job = run(stand, Ending(program="raises"))
    overview = shown(api, monkeypatch, "show", job.ulid)
    assert "trial 0: user_error: ValueError: as users' code does" in overview
    one = shown(api, monkeypatch, "show", job.ulid, "0")
    assert 'raise ValueError("as users\' code does")' in one


def test_a_job_whose_every_trial_aborts_is_poison_after_five_of_three_attempts(
    place: tuple[Stand, TestClient],
) -> None:
    stand, _ = place
    stand.program = "tests.faults.endings:aborts"
    job = stand.submit(budget={"trials": 10, "epochs": 3}, parallel=1)

    def over() -> object:
        stand.later += timedelta(seconds=0.2)  # what is tried again is tried soon
        return stand.job(job)["finished_at"]

    stand.until(over)
    row = stand.job(job)
    assert (row["state"], row["reason"], row["failed"]) == ("failed", "poison", 5)
    why = "5 trials in a row failed alike: crashed: Worker process "
    assert row["detail"].startswith(why)
    tries = [trial["attempts"] for trial in stand.trials(job) if trial["state"] == "failed"]
    assert tries == [3] * 5


def test_a_probe_that_fails_is_explained_by_its_job_and_by_its_own_log(
    place: tuple[Stand, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand, api = place
    monkeypatch.setattr(stand, "probe", "tests.faults.endings:raises")
    job = stand.submit(budget={"trials": 1, "epochs": 3})
    row = stand.finish(job)
    detail = "The probe failed: ValueError: as users' code does"
    assert (row["state"], row["reason"], row["detail"]) == ("failed", "user_error", detail)
    [probe] = api.get(f"/v1/jobs/{job.ulid}/probes").json()["attempts"]
    assert (probe["state"], probe["reason"]) == ("failed", "user_error")
    log = api.get(f"/v1/jobs/{job.ulid}/probes/{probe['id']}/logs").text
    assert log.endswith(f"{LAST_WORDS}\n")
    assert 'raise ValueError("as users\' code does")' in shown(api, monkeypatch, "show", job.ulid)
    other = api.get(f"/v1/jobs/{job.ulid}/probes/{probe['id'] + 1}/logs")
    assert (other.status_code, other.json()["detail"]) == (
        404,
        f"There is no log: job {job.ulid} has no probe {probe['id'] + 1}.",
    )
