"""Every process of a server killed at once, the database's too: the next server finishes the job.

To the trials that are counted belongs the best of them: it is what an undisturbed server finds.
"""

import math
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.counting import Count, Counts
from tests.invariants import assert_invariants
from tests.postgres import PostgresServer
from tests.servers import PATIENCE_S, Server, running
from tuner.client import Client
from tuner.db import Database
from tuner.settings import Settings
from tuner.states import JobState

pytestmark = pytest.mark.timeout(3600)

Rounds = Callable[[int, int], int]
SPEC = {
    "model": "mlp",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "adamw",
    "metric": "val_accuracy",
    "space": {"depth": 1, "width": 64},
    "search": {"seed": 7},
    "parallel": 2,
}
EPOCHS = 4
#: Of the digits, a fifth: so many decide what a trial's value is.
VAL_ROWS = 359
#: Events that end a trial.
ENDS = {"trial_completed", "trial_pruned", "trial_failed"}


def spec_of(trials: int) -> dict[str, object]:
    return SPEC | {"budget": {"trials": trials, "epochs": EPOCHS}}


def within_noise(one: float, other: float) -> bool:
    """Whether accuracies on so many rows differ by no more than 95 of 100 pairs alike do."""
    mean = (one + other) / 2
    return abs(one - other) <= 1.96 * math.sqrt(2 * mean * (1 - mean) / VAL_ROWS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> float:
    """The best value of the same job where nothing happens."""
    trials = 40 if pytestconfig.getoption("--faults") else 8
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNER_HOME", str(tmp_path_factory.mktemp("undisturbed")))
        with running() as server, Client(server.url) as tuner:
            best = tuner.submit(spec_of(trials)).wait(PATIENCE_S * trials).view.best
            assert server.end(signal.SIGTERM) == 0
    assert best is not None
    return best.value


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def server_of_database(
    request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PostgresServer | None]:
    """The database's own server, where it has one; `tuner serve` uses that database."""
    if request.param == "sqlite":
        yield None
        return
    mortal: PostgresServer = request.getfixturevalue("mortal")
    monkeypatch.setenv("TUNER_DATABASE_URL", mortal.url(request.getfixturevalue("name")))
    yield mortal


def kill_everything(server: Server, beside: PostgresServer | None) -> int:
    """Kill all processes there are of it, at once; how many."""
    roots = [server.process.pid, *([beside.pid] if beside else [])]
    all_of_them = [psutil.Process(pid) for pid in roots]
    all_of_them += [child for one in all_of_them for child in one.children(recursive=True)]
    for process in all_of_them:
        with suppress(psutil.NoSuchProcess):  # it has ended with its parent
            process.kill()
    server.process.wait()
    if beside:
        beside.reap()
    _, alive = psutil.wait_procs(all_of_them, timeout=PATIENCE_S)
    assert not alive
    return len(all_of_them)


def results_of(tuner: Client, job: str) -> dict[int, tuple[str, float | None]]:
    """How those of its trials ended that did."""
    found = (trial for trial in tuner.trials(job) if trial.finished_at is not None)
    return {trial.number: (trial.state, trial.value) for trial in found}


def await_ends(tuner: Client, job: str, number: int) -> None:
    """Return when so many of its trials have ended."""
    ends = (event for event in tuner.events(job) if event.kind in ENDS)
    for _ in range(number):
        next(ends)


def run_killed(
    trials: int, kills: int, beside: PostgresServer | None, count: Count
) -> dict[int, tuple[str, float | None]]:
    """The results of a job whose servers were killed so often; one that was told of stays."""
    job, told = "", dict[int, tuple[str, float | None]]()
    for kill in range(kills):
        with running() as server, Client(server.url) as tuner:
            job = job or tuner.submit(spec_of(trials)).id
            await_ends(tuner, job, 1 + (kill + 1) * trials // (kills + 2))
            now = results_of(tuner, job)
            assert told.items() <= now.items()
            told = now
            count.add(1, processes_killed=kill_everything(server, beside))
        if beside:
            beside.start()
    with running() as server, Client(server.url) as tuner:
        view = tuner.find(job).wait(PATIENCE_S * trials).view
        assert (view.state, view.counts.created) == (JobState.SUCCEEDED, trials)
        now = results_of(tuner, job)
        assert told.items() <= now.items()
        assert server.end(signal.SIGTERM) == 0
    return now


def test_a_job_goes_on_after_everything_was_killed_at_once(
    undisturbed: float,
    settings: Settings,
    server_of_database: PostgresServer | None,
    rounds: Rounds,
    counted: Counts,
) -> None:
    fault = "every process of a server killed at once, the database's too"
    trials = rounds(8, 40)
    with (
        closing(Database(Settings().url)) as database,
        counted(fault, database) as count,
    ):
        results = run_killed(trials, rounds(1, 3), server_of_database, count)
        best = max(value for _, value in results.values() if value is not None)
        count.add(trials=trials, lost=trials - len(results))
        count.tell(best_value=f"{best:.4f}", undisturbed=f"{undisturbed:.4f}")
        assert len(results) == trials
        assert {state for state, _ in results.values()} <= {"completed", "pruned"}
        assert within_noise(best, undisturbed)
        assert_invariants(database, settings.artifacts)
