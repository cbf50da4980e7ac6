"""From a folder of code on a client's side to a trained network, through a real service."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.archives import write
from tests.repositories import repository
from tests.servers import PATIENCE_S, command, running
from tuner.client import ApiError, Client
from tuner.foreign.packing import code_of
from tuner.states import JobState

#: A loss, an optimizer and an augmentation, in a project whose packages are called like ours.
PROJECT = {
    "models/nets.py": "from app.settings import FACTOR\n",
    "app/settings.py": "FACTOR = 2.0\n",
    "losses.py": """
from torch.nn import functional


def loss(outputs, targets, *, factor=1.0):
    from models.nets import FACTOR

    return factor / FACTOR * functional.cross_entropy(outputs, targets)
""",
    "opt/__init__.py": "",
    "opt/plain.py": """
import torch


class Plain(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * p.grad)
""",
}
SPEC = {
    "model": "mlp",
    "data": "digits",
    "loss": "losses:loss",
    "optimizer": "opt.plain:Plain",
    "metric": "val_accuracy",
    "space": {"factor": {"float": [1, 4]}, "lr": 0.2, "width": 16, "depth": 1, "folds": 1},
    "budget": {"trials": 2, "epochs": 2},
    "search": {"pruner": "none"},
}


@pytest.mark.usefixtures("home")
def test_a_folder_of_code_is_sent_once_and_trained_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNER_ALLOW_UPLOADED_CODE", "1")
    project = write(
        tmp_path / "project", {**PROJECT, "data/large.bin": "x", ".tunerignore": "data/"}
    )
    spec = write(tmp_path, {"spec.json": json.dumps(SPEC)}) / "spec.json"

    def tuner_says(url: str, *arguments: str) -> str:
        done = subprocess.run(
            command(*arguments, "--url", url), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with running() as server, Client(server.url) as tuner:
        said = tuner_says(
            server.url, "submit", str(spec), "--code", str(project), "--watch", "--json"
        )
        ended = json.loads(said.splitlines()[-1])
        job = tuner.job(next(tuner.jobs()).id)
        assert job.state is JobState.SUCCEEDED, (ended, job.view.detail)
        sha256 = code_of(project).sha256
        assert tuner.detail(job).spec["code"] == {"sha256": sha256}
        (code,) = tuner.code()
        assert (code.sha256, code.file_count) == (sha256, len(PROJECT))

        assert tuner_says(server.url, "code", "add", str(project)) == f"{sha256}\n"
        assert sha256[:12] in tuner_says(server.url, "code", "list")
        again = tuner.submit(SPEC, code=project).wait(PATIENCE_S)
        assert again.state is JobState.SUCCEEDED, again.view.detail
        assert tuner_says(server.url, "code", "remove", sha256[:9]) == f"{sha256} removed\n"
        with pytest.raises(ApiError, match="this server has no such code"):
            tuner.submit({**SPEC, "code": {"sha256": sha256}})
        assert server.end(signal.SIGTERM) == 0


def test_what_stands_in_front_of_a_network_comes_from_the_code_also_when_it_is_taken_away(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preparation = """
import torch


class Doubled(torch.nn.Module):
    def forward(self, inputs):
        from models.nets import FACTOR

        return inputs * FACTOR
"""
    monkeypatch.setenv("TUNER_ALLOW_UPLOADED_CODE", "1")
    project = write(tmp_path / "project", {**PROJECT, "models/prep.py": preparation})
    rows = "".join(f"{n % 7},{n % 5},{'yes' if n % 7 > n % 5 else 'no'}\n" for n in range(300))
    write(home / "data", {"rows.csv": f"a,b,high\n{rows}"})
    new = write(tmp_path, {"new.csv": "a,b\n6,0\n0,4\n"}) / "new.csv"
    spec = {
        "model": "mlp",
        "data": {"csv": "rows.csv", "target": "high"},
        "loss": "cross_entropy",
        "optimizer": "adamw",
        "prepare": "models.prep:Doubled",
        "space": {"lr": 0.01, "width": 16, "depth": 1, "folds": 1},
        "budget": {"trials": 1, "epochs": 8},
    }
    with running() as server, Client(server.url) as tuner:
        job = tuner.submit(spec, code=project).wait(PATIENCE_S)
        assert job.state is JobState.SUCCEEDED, job.view.detail
        job.download_model(tmp_path / "best.pt2", "torch_export")
        command_line = command("predict", job.id, str(new), "--url", server.url)
        refused = subprocess.run(command_line, capture_output=True, text=True, check=False)
        assert "its code may not be imported here" in refused.stderr
        done = subprocess.run(
            [*command_line, "--code", str(project)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert [line.split(",")[0] for line in done.stdout.split()[1:]] == ["yes", "no"]
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.usefixtures("home")
def test_an_objective_comes_from_the_code_of_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = """
def objective(trial):
    from models.nets import FACTOR

    return FACTOR * trial.suggest_float("x", 0, 1)
"""
    monkeypatch.setenv("TUNER_ALLOW_UPLOADED_CODE", "1")
    project = write(tmp_path / "project", {**PROJECT, "study/run.py": objective})
    spec = {"objective": "study.run:objective", "budget": {"trials": 2}}
    with running() as server, Client(server.url) as tuner:
        with pytest.raises(ApiError, match="is an import path, and this server"):
            tuner.submit(spec)
        job = tuner.submit(spec, code=project).wait(PATIENCE_S)
        assert job.state is JobState.SUCCEEDED, job.view.detail
        (best,) = job.best().best
        assert best.value == 2 * best.params["x"]
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.usefixtures("home")
def test_a_commit_is_trained_with_as_it_was_at_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {**PROJECT, "losses.py": "raise RuntimeError('not yet')\n"}
    first, second = repository(tmp_path / "roots" / "theirs", broken, PROJECT)
    monkeypatch.setenv("TUNER_CODE_ROOTS", str(tmp_path / "roots"))
    with running() as server, Client(server.url) as tuner:
        with pytest.raises(ApiError, match="importing losses raised RuntimeError: not yet"):
            tuner.submit({**SPEC, "code": {"git": "theirs", "commit": first[:10]}})
        done = tuner.submit({**SPEC, "code": {"git": "theirs", "commit": "main"}}).wait(PATIENCE_S)
        assert done.state is JobState.SUCCEEDED, done.view.detail
        assert tuner.detail(done).spec["code"]["commit"] == second
        assert server.end(signal.SIGTERM) == 0
