"""A project with packages called like ours trains in a real worker; nothing else changes there."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.archives import tar_of
from tests.contracts.executor_contract import conduct_all
from tuner.executors.local import LocalExecutor
from tuner.foreign.folders import CodeFolders
from tuner.foreign.unpacking import CodeLimits
from tuner.protocol import Ended, Reported, StartAttempt
from tuner.states import AttemptState, Reason
from tuner.workers import logs

#: A loss whose parts lie in `models` and `app`, one of them imported as the training goes.
PROJECT: Mapping[str, str] = {
    "models/nets.py": "from app.x import scale\n\n\ndef weight():\n    return scale() * 2.0\n",
    "app/x.py": "def scale():\n    return 0.5\n",
    "theirs.py": """
import sys
from pathlib import Path
from torch.nn import functional
from models.nets import weight


def loss(outputs, targets):
    import app.late
    import models.late
    import tuner.takeaway  # ours, which imports more of our own

    assert tuner.takeaway.open_model.__module__ == "models.exported.export"
    assert Path(models.late.__file__).is_relative_to(Path(__file__).parent)
    app.late.say(sys.modules["models"].__path__)
    return weight() * functional.cross_entropy(outputs, targets)
""",
    "models/late.py": "",
    "app/late.py": """
said = []


def say(path):
    if not said:
        print("theirs:", *path)
        said.append(path)
""",
}
_numbers = count(1)


@pytest.fixture(scope="module")
def log_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def executor(log_root: Path) -> Iterator[LocalExecutor]:
    with LocalExecutor(log_root, modules=["tuner.trainer"]) as opened:
        yield opened


@pytest.fixture
def folders(tmp_path: Path) -> CodeFolders:
    return CodeFolders(tmp_path / "code")


@pytest.fixture
def code(folders: CodeFolders) -> dict[str, Any]:
    """What an order says of the project, taken in."""
    limits = CodeLimits(bytes=100_000, files=100, path_bytes=100)
    sha256, _ = folders.take_in(io.BytesIO(tar_of(PROJECT)), limits)
    return {"sha256": sha256, "folder": str(folders.folder(sha256)), "refused": None}


def order(
    tmp_path: Path, code: Mapping[str, Any] | None, program: str = "train_trial", **recipe: Any
) -> StartAttempt:
    wanted = {
        "model": "mlp",
        "data": {"name": "digits", "path": None, "options": {}},
        "loss": "theirs:loss",
        "optimizer": "adamw",
        "epochs": 2,
        "seed": 3,
        "prepare": [],
        "config": {"width": 16, "depth": 1, "batch_size": 256},
    }
    payload = {
        "recipe": {**wanted, **recipe},
        "metric": "val_accuracy",
        "direction": "maximize",
        "roots": [],
        "allowed_code": [],
        "code": code,
        "cache": str(tmp_path / "cache"),
        "artifacts": str(tmp_path / "artifacts"),
        "folder": f"trial-{next(_numbers)}",
    }
    return StartAttempt(
        attempt=next(_numbers), program=f"tuner.trainer:{program}", payload=payload, foreign=True
    )


def ended(executor: LocalExecutor, start: StartAttempt) -> Ended:
    last = conduct_all(executor, [start])[start.attempt][-1]
    assert isinstance(last, Ended)
    return last


def test_a_project_with_packages_called_like_ours_is_trained_by_our_trainer(
    executor: LocalExecutor, log_root: Path, tmp_path: Path, code: dict[str, Any]
) -> None:
    start = order(tmp_path, code)
    seen = conduct_all(executor, [start])[start.attempt]
    last = seen[-1]
    assert isinstance(last, Ended)
    assert (last.state, last.detail) == (AttemptState.SUCCEEDED, None)
    # Their weight is 1: the training is the one that the catalogue's loss gives, ours throughout.
    ours = replace(order(tmp_path, None, loss="cross_entropy"), foreign=False)
    plain = conduct_all(executor, [ours])[ours.attempt]
    assert _losses(seen) == _losses(plain)
    log = logs.path_of(log_root, start.attempt).read_text()
    assert log.split() == ["theirs:", f"{code['folder']}/models"]


def _losses(events: Any) -> list[float]:
    reports = [event for event in events if isinstance(event, Reported)]
    assert len(reports) == 2
    return [report.metrics["val_loss"] for report in reports]


def test_a_probe_imports_it_too_and_the_next_attempt_finds_ours_again(
    executor: LocalExecutor, tmp_path: Path, code: dict[str, Any]
) -> None:
    assert ended(executor, order(tmp_path, code, "probe")).state is AttemptState.SUCCEEDED
    again = ended(executor, order(tmp_path, None, "probe", loss="cross_entropy"))
    assert again.state is AttemptState.SUCCEEDED
    assert sorted(path.name for path in Path(code["folder"]).rglob("__pycache__")) == []


def test_code_that_was_altered_is_not_run(
    executor: LocalExecutor, tmp_path: Path, code: dict[str, Any]
) -> None:
    late = Path(code["folder"]) / "app" / "late.py"
    late.chmod(0o644)
    late.write_text("raise SystemExit\n")
    failed = ended(executor, order(tmp_path, code))
    assert (failed.state, failed.reason) == (AttemptState.FAILED, Reason.USER_ERROR)
    assert f"Code {code['sha256']} was altered in {code['folder']}." in str(failed.detail)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"refused": "This server runs no uploaded code."}, "This server runs no uploaded code."),
        ({"folder": "/nowhere"}, "cannot be read: [Errno 2] No such file or directory"),
    ],
)
def test_code_that_is_not_allowed_any_more_or_gone_is_a_user_s_error(
    executor: LocalExecutor,
    tmp_path: Path,
    code: dict[str, Any],
    changes: dict[str, Any],
    detail: str,
) -> None:
    failed = ended(executor, order(tmp_path, {**code, **changes}))
    assert (failed.state, failed.reason) == (AttemptState.FAILED, Reason.USER_ERROR)
    assert detail in str(failed.detail)


def test_what_the_folder_has_not_is_refused_by_the_worker_too(
    executor: LocalExecutor, tmp_path: Path, code: dict[str, Any]
) -> None:
    failed = ended(executor, order(tmp_path, code, loss="torch.nn:CrossEntropyLoss"))
    assert (failed.state, failed.reason) == (AttemptState.FAILED, Reason.USER_ERROR)
    assert "'torch.nn:CrossEntropyLoss' is an import path, and this server" in str(failed.detail)
