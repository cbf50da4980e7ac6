"""From images to answers, at a real server and with the commands that a user types."""

import csv
import io
import random
import signal
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.servers import PATIENCE_S, Server, running
from tuner.cli import app
from tuner.client import Client
from tuner.states import JobState

SHADES = {"night": 60, "day": 190}
#: Enough to tell day from night, in a second.
SPEC = {
    "model": "mlp",
    "loss": "cross_entropy",
    "optimizer": "adamw",
    "space": {"depth": 1, "width": 16, "batch_size": 8, "lr": 0.01, "dropout": 0.0},
    "budget": {"trials": 1, "epochs": 4},
}


def draw(folder: Path, count: int, *, by_class: bool) -> Path:
    """Grey images of 8 x 8 noisy pixels, dark and bright, in a folder for each class or in one."""
    rng = random.Random(count)
    for shade, mean in SHADES.items():
        for number in range(count):
            pixels = bytes(mean + rng.randint(-60, 60) for _ in range(64))
            path = folder / shade / f"{number}.png" if by_class else folder / f"{shade}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.frombytes("L", (8, 8), pixels).save(path)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return draw(tmp_path / "pictures", 30, by_class=True)


@pytest.fixture
def unseen(tmp_path: Path) -> Path:
    return draw(tmp_path / "unseen", 3, by_class=False)


def tuner(server: Server, *arguments: str) -> str:
    """Carry out a command; in this process, which has PyTorch already."""
    done = CliRunner().invoke(app, [*arguments, "--url", server.url])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def train_on(server: Server, images: str) -> str:
    """Train on what ``{images: …}`` names; the job."""
    with Client(server.url) as client:
        job = client.submit(SPEC | {"data": {"images": images}}).wait(PATIENCE_S)
        assert job.state is JobState.SUCCEEDED, job.view.detail
        return job.id


def assert_told_apart(answers: str) -> None:
    """Each unseen image has an answer under its name, and the right one."""
    rows = list(csv.DictReader(io.StringIO(answers)))
    assert len(rows) == 6
    for row in rows:
        assert row["file"].startswith(row["prediction"])
        assert sum(float(row[f"p({shade})"]) for shade in SHADES) == pytest.approx(1)


def test_a_job_on_a_folder_of_images_and_one_on_an_uploaded_zip_file_predict_a_folder(
    home: Path, tmp_path: Path, pictures: Path, unseen: Path
) -> None:
    draw(home / "data" / "pets", 30, by_class=True)
    archive = tmp_path / "pictures.zip"
    with ZipFile(archive, "w") as packed:
        for path in pictures.rglob("*.png"):
            packed.write(path, path.relative_to(tmp_path))
    with running() as server:
        uploaded = tuner(server, "data", "add", str(archive))
        assert uploaded == f"pictures: 1 file, {archive.stat().st_size:,} bytes\n"
        of_folder, of_zip = (train_on(server, path) for path in ("pets", "pictures/pictures.zip"))
        assert_told_apart(tuner(server, "predict", of_folder, str(unseen)))
        # The files are the server's: those that were uploaded need not be there.
        archive.unlink()
        assert tuner(server, "predict", of_zip, str(unseen), "-o", str(tmp_path / "a.csv")) == ""
        assert_told_apart((tmp_path / "a.csv").read_text())
        assert server.end(signal.SIGTERM) == 0
