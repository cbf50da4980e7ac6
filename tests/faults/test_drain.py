"""SIGTERM to a server at work: what runs is preempted, and the next server goes on with it."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.counting import Count, Counts
from tests.servers import PATIENCE_S, Server, running
from tuner.client import Client
from tuner.states import AttemptState, JobState, Reason

EPOCHS = 30
SPEC = {
    "model": "mlp",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "sgd",
    "budget": {"trials": 2, "epochs": EPOCHS},
    "search": {"pruner": "none"},
    "space": {"lr": 0.05},
    "parallel": 2,
}
STUCK = """
import signal
def loss(outputs, targets):
    signal.pause()
"""
#: Epochs of many seconds; every step that learns says in which process it was taken.
SLOW = """
import os, time
import torch
from torch.nn.functional import cross_entropy
def loss(outputs, targets):
    if torch.is_grad_enabled():
        time.sleep(0.2)  # what a step of a larger network takes
        with open(os.environ["STEPS_TAKEN"], "a") as file:
            print(os.getpid(), file=file)
    return cross_entropy(outputs, targets)
"""
FREE = """
from torch.nn.functional import cross_entropy as loss
"""


def steps_of(tuner: Client, job: str) -> int:
    """Epochs that the trials of the job have reported so far."""
    return sum(trial.last_step or 0 for trial in tuner.trials(job))


def end_in_order(server: Server) -> None:
    assert server.end(signal.SIGTERM) == 0
    assert server.process.stderr is not None
    assert "killing it" not in server.process.stderr.read(), "all ended in the 30 s they have"


@pytest.mark.usefixtures("home")
def test_a_server_told_to_stop_under_load_preempts_and_the_next_one_goes_on(
    rounds: Callable[[int, int], int], counted: Counts
) -> None:
    with counted("servers told to stop under load", "SQLite") as count:
        drain(rounds(1, 50), count)


def drain(drains: int, count: Count) -> None:
    """Stop a server under load so often; the last one brings the job to its end."""
    spec = SPEC | {"budget": {"trials": 2, "epochs": EPOCHS * drains}}
    job, steps = "", 0
    for _ in range(drains):
        with running() as server, Client(server.url) as tuner:
            job = job or tuner.submit(spec).id
            while steps_of(tuner, job) <= steps:
                assert server.process.poll() is None
            steps = steps_of(tuner, job)
            began = time.monotonic()
            end_in_order(server)
            count.took("it has ended after", time.monotonic() - began)
            count.add(1)
    with running() as server, Client(server.url) as tuner:
        view = tuner.find(job).wait(PATIENCE_S * drains).view
        assert view.state is JobState.SUCCEEDED
        assert (view.counts.created, view.counts.completed) == (2, 2)
        preempted = 0
        for trial in tuner.trials(job):
            ends = tuner.attempts(job, trial.number).attempts
            assert [a.state for a in ends][-1] is AttemptState.SUCCEEDED
            assert {a.reason for a in ends[:-1]} <= {Reason.PREEMPTED}
            preempted += len(ends) - 1
            points = tuner.curves(job, trial.number).points
            assert [point.step for point in points] == list(range(1, EPOCHS * drains + 1))
        count.add(attempts_preempted=preempted, trials=2, completed=view.counts.completed)
        assert preempted >= drains
        end_in_order(server)


@pytest.mark.usefixtures("home")
def test_steps_before_a_signal_amid_an_epoch_are_not_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "taken"
    taken.touch()
    allow(SLOW, tmp_path, monkeypatch)
    monkeypatch.setenv("STEPS_TAKEN", str(taken))
    spec = SPEC | {"loss": "others:loss", "budget": {"trials": 1, "epochs": 2}}
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(spec | {"space": {"lr": 0.05, "batch_size": 80}}).id
        while len(taken.read_text().splitlines()) < 10:
            assert steps_of(tuner, job) == 0
        end_in_order(server)
    with running() as server, Client(server.url) as tuner:
        assert tuner.find(job).wait(PATIENCE_S).view.state is JobState.SUCCEEDED
        assert [point.step for point in tuner.curves(job, 0).points] == [1, 2]
        end_in_order(server)
    _probe, before, after = Counter(taken.read_text().split()).values()
    assert before >= 8, "so many steps lie behind it when it is asked to stop"
    assert before + after == 2 * (1438 // 80), "every step of two epochs once"


def allow(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have workers import the code as `others`; its file."""
    file = folder / "code" / "others.py"
    file.parent.mkdir()
    file.write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(file.parent), prepend=":")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("TUNER_ALLOWED_CODE", "others")
    return file


@pytest.mark.usefixtures("home")
def test_a_second_signal_does_not_wait_for_a_trial_that_does_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = allow(STUCK, tmp_path, monkeypatch)
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(SPEC | {"loss": "others:loss", "budget": {"trials": 1, "epochs": 1}})
        next(event for event in tuner.events(job) if event.kind == "started")
        api = server.part("api")
        server.process.send_signal(signal.SIGTERM)
        api.wait(PATIENCE_S)  # the first signal has been heard: the second is another
        server.end(signal.SIGTERM)
        assert server.process.stderr is not None
        assert "Forced: ending everything now." in server.process.stderr.read()
    code.write_text(FREE)
    with running() as server, Client(server.url) as tuner:
        assert tuner.find(job.id).wait(PATIENCE_S).view.state is JobState.SUCCEEDED
        end_in_order(server)
