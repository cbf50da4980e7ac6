"""The network one takes away: in other formats, described, and put to use."""

import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock

from models.build import build_model, model_arguments
from models.catalog import DataShape
from models.data.preparation import ImagePreparation
from models.exported.predict import Answers
from models.sealed import seal
from tests.factories import NOON, StoredJob, insert_job, insert_trials, make_spec
from tuner.db import Database
from tuner.errors import ArtifactNotFound, ConversionBusy, ConversionFailed, FormatUnavailable
from tuner.service import Service, conversion
from tuner.settings import Settings
from tuner.takeaway import PredictionRefused, TrainedModel, as_csv, load_model

SHAPE = DataShape(
    input_shape=(1, 4, 4), classes=3, train_rows=60, val_rows=20, test_rows=25, labels=(0, 2)
)
CONFIG = {"depth": 1, "width": 8}
TEST = {
    "rows": 25,
    "metrics": {
        "loss": {"value": 0.5, "low": 0.4, "high": 0.6},
        "accuracy": {"value": 0.8, "low": 0.61, "high": 0.91},
    },
}


def about(**facts: Any) -> dict[str, Any]:
    preparation = ImagePreparation(
        mean=torch.full((1, 1, 1), 100.0), std=torch.full((1, 1, 1), 50.0), classes=("a", "b", "c")
    )
    recipe = {
        "model": "mlp", "loss": "cross_entropy", "optimizer": "adamw", "config": CONFIG,
        "data": {"name": "npz", "path": "/secret/place/letters.npz", "options": {}},
        "epochs": 5, "seed": 9, "split_seed": 0,
    }  # fmt: skip
    return {
        "format": "tuner-model-1",
        "model": "mlp",
        "arguments": model_arguments("mlp", CONFIG, SHAPE),
        "shape": asdict(SHAPE),
        "preparation": preparation.to_json(),
        "recipe": recipe,
        "data_fingerprint": "abc123",
        "epoch": 4,
        "metrics": {"val_loss": 0.25, "val_accuracy": 0.9, "train_loss": 0.2},
        "test": TEST,
        "environment": {"tuner": "0.1", "torch": "2.9", "python": "3.11", "device": "a CPU"},
        **facts,
    }


def write_model(path: Path, **facts: Any) -> Path:
    torch.manual_seed(0)
    module = build_model("mlp", CONFIG, SHAPE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(seal(module.state_dict(), about(**facts))))
    return path


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    return sqlite_database


@pytest.fixture
def service(database: Database, settings: Settings) -> Service:
    return Service(database, settings, clock=lambda: NOON + timedelta(seconds=60))


@pytest.fixture
def job(database: Database) -> StoredJob:
    """A job whose one completed trial left a network at ``best``."""
    spec = make_spec(name="letters | <b>", data={"npz": "place/letters.npz"})
    job = insert_job(database, name=spec["name"])
    insert_trials(database, job, [{"value": 0.9, "model_uri": "best"}, {"state": "pruned"}])
    return job


@pytest.fixture
def model(settings: Settings, job: StoredJob) -> Path:
    return write_model(settings.artifacts / "best")


# --- other formats -----------------------------------------------------------------------------


def test_a_network_is_converted_once_by_a_process_of_its_own(
    service: Service, job: StoredJob, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = service.best_model(job.ulid, "torch_export")
    images = torch.randint(0, 256, (3, 1, 4, 4), dtype=torch.uint8)
    network = TrainedModel.read(model)
    with torch.inference_mode():
        expected = network(network.prepare(images)).softmax(1)
    found = torch.export.load(path).module()(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)

    def never(*args: object, **rest: object) -> None:
        raise AssertionError("a second process")

    monkeypatch.setattr(conversion.subprocess, "run", never)
    assert service.best_model(job.ulid, "torch_export") == path
    assert service.best_model(job.ulid) == model


@pytest.mark.parametrize(
    ("code", "said", "error", "message"),
    [
        (3, "ONNX needs onnx.", FormatUnavailable, "no format = 'onnx' here: ONNX needs onnx."),
        (1, "x\nValueError: y", ConversionFailed, "not converted to onnx: ValueError: y."),
        (-9, "", ConversionFailed, "not converted to onnx: exit code -9."),
    ],
)
def test_a_conversion_that_fails_says_why(
    service: Service, job: StoredJob, model: Path, monkeypatch: pytest.MonkeyPatch,
    code: int, said: str, error: type[Exception], message: str,
) -> None:  # fmt: skip
    ended = subprocess.CompletedProcess([], code, "", said)
    monkeypatch.setattr(conversion.subprocess, "run", lambda *args, **rest: ended)
    with pytest.raises(error, match=message):
        service.best_model(job.ulid, "onnx")


def test_a_conversion_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    model = write_model(tmp_path / "best")
    with pytest.raises(ConversionFailed, match=r"it took longer than 0\.001 s"):
        conversion.converted(model, tmp_path / "job", "torch_export", limit_s=0.001)
    assert not list(tmp_path.rglob("*.pt2"))


def test_while_another_network_is_converted_one_has_to_ask_again(tmp_path: Path) -> None:
    model = write_model(tmp_path / "best")
    with FileLock(tmp_path / ".lock"), pytest.raises(ConversionBusy, match="onnx has to wait"):
        conversion.converted(model, tmp_path / "job", "onnx", wait_s=0)


def test_a_converted_network_that_was_trimmed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        Path(command[5]).parent.mkdir(exist_ok=True)
        Path(command[5]).write_bytes(b"a program")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(conversion.subprocess, "run", convert)
    model = write_model(tmp_path / "best")
    made = conversion.converted(model, tmp_path / "job", "onnx")
    real = Path.is_file
    # The file goes between a look at it and its use.
    monkeypatch.setattr(Path, "is_file", lambda path: path == made or real(path))
    made.unlink()
    assert conversion.converted(model, tmp_path / "job", "onnx").read_bytes() == b"a program"


def test_a_network_that_is_gone_is_not_converted(tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFound):
        conversion.converted(tmp_path / "gone", tmp_path / "job", "onnx")


# --- the card ----------------------------------------------------------------------------------


def test_the_card_tells_validation_from_test(service: Service, job: StoredJob, model: Path) -> None:
    card = service.best_card(job.ulid)
    assert "| **accuracy** | 0.9 | 0.8 | 0.61 to 0.91 |" in card
    assert "The test split has 25 rows. The search never saw them" in card
    assert "chosen by `val_accuracy`" in card


def test_the_card_names_data_search_and_versions(
    service: Service, job: StoredJob, model: Path
) -> None:
    card = service.best_card(job.ulid)
    for line in (
        "- rows: 60 to train, 20 to validate, 25 to test",
        "- fingerprint: abc123",
        "- classes: a, b, c",
        "- budget: trials 50, epochs 20",
        "- spent: 1 completed, 1 pruned; ",
        "- seed: 7",
        "- versions: tuner 0.1, torch 2.9, Python 3.11",
        "- epochs: 4 of 5: the best one's weights",
        f'model = load_model("{job.ulid}")',
    ):
        assert line in card
    assert "| `lr` | 0.0001 to 0.1, log | 0.01 |" in card


def test_the_card_names_a_file_but_not_its_folder(
    service: Service, database: Database, settings: Settings
) -> None:
    settings.artifacts.mkdir(parents=True)
    spec = make_spec(data="digits")
    job = insert_job(database, spec=spec)
    insert_trials(database, job, [{"value": 0.9, "model_uri": "best"}])
    write_model(settings.artifacts / "best")
    assert "secret" not in service.best_card(job.ulid)


def test_names_are_no_markdown(service: Service, job: StoredJob, model: Path) -> None:
    assert service.best_card(job.ulid).startswith("# letters \\| &lt;b>\n")


def test_the_card_of_data_without_a_test_split_says_so(
    service: Service, job: StoredJob, settings: Settings
) -> None:
    write_model(settings.artifacts / "best", test=None)
    card = service.best_card(job.ulid)
    assert "There is no test split" in card
    assert "| **accuracy** | 0.9 | - | - |" in card


@pytest.mark.parametrize("content", [None, b"", b"no model at all"])
def test_there_is_no_card_of_a_network_that_cannot_be_read(
    service: Service, job: StoredJob, settings: Settings, content: bytes | None
) -> None:
    if content is not None:
        settings.artifacts.mkdir(parents=True)
        (settings.artifacts / "best").write_bytes(content)
    with pytest.raises(ArtifactNotFound, match="model of trial 0"):
        service.best_card(job.ulid)


# --- put to use --------------------------------------------------------------------------------


def test_a_network_in_a_file_answers_raw_rows(tmp_path: Path) -> None:
    path = write_model(tmp_path / "best.safetensors")
    network = load_model(str(path))
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "rows.npy", images)
    answers = network.predict(tmp_path / "rows.npy")
    logits = network(network.prepare(torch.from_numpy(images)))
    assert answers.values == ["abc"[code] for code in logits.argmax(1).tolist()]
    assert network.about["recipe"]["seed"] == 9


def test_rows_of_another_kind_are_refused(tmp_path: Path) -> None:
    network = load_model(write_model(tmp_path / "best.safetensors"))
    np.save(tmp_path / "rows.npy", np.zeros((2, 3)))
    with pytest.raises(PredictionRefused, match="the network takes bytes, 1 x 4 x 4 an image"):
        network.predict(tmp_path / "rows.npy")


# --- as CSV --------------------------------------------------------------------------------------


def test_a_line_has_the_prediction_and_the_probability_of_each_class() -> None:
    answers = Answers(
        values=["cat", "dog"], probabilities={"cat": [0.75, 0.25], "dog": [0.25, 0.75]}
    )
    assert as_csv(answers) == "prediction,p(cat),p(dog)\ncat,0.75,0.25\ndog,0.25,0.75\n"


def test_a_number_has_no_probability() -> None:
    assert as_csv(Answers(values=[1.5, -2.0], probabilities={})) == "prediction\n1.5\n-2.0\n"


def test_a_line_begins_with_its_file_where_it_has_one() -> None:
    answers = Answers(values=["cat"], probabilities={"cat": [1.0]}, files=("new/1, old.png",))
    assert as_csv(answers) == 'file,prediction,p(cat)\n"new/1, old.png",cat,1\n'
