"""Networks learn real series as the readers give them: from a .ts file, and from a table's rows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from torch import Tensor

from models.catalog import DataSource
from models.data.loading import Dataset, load
from models.recipe import Recipe
from models.training.train import train

MakeRecipe = Callable[..., Recipe]
SOURCES = {
    "ts": DataSource(name="ts", path="digits.ts"),
    "csv": DataSource(
        name="csv",
        path="digits.csv",
        options={"target": "digit", "series": "image", "time": "step", "task": "classes"},
    ),
}
HEADER = """\
# Handwritten digits, 1,438 of them: a line of pixels is a channel, and goes from left to right.
@problemName Digits
@univariate false
@dimensions 8
@equalLength true
@seriesLength 8
@classLabel true {}
@data
"""


def as_ts(images: Tensor, labels: Tensor) -> str:
    lines = [
        ":".join(",".join(map(str, channel)) for channel in image) + f":{label}\n"
        for image, label in zip(images[:, 0].tolist(), labels.tolist(), strict=True)
    ]
    return HEADER.format(" ".join(map(str, range(10)))) + "".join(lines)


def as_csv(images: Tensor, labels: Tensor) -> str:
    """A row for each step: the steps from the last to the first, the images in their order."""
    lines = [
        f"{number},{step},{','.join(map(str, images[number, 0, :, step].tolist()))},{label}\n"
        for step in reversed(range(8))
        for number, label in enumerate(labels.tolist())
    ]
    return "image,step," + ",".join(f"line{n}" for n in range(8)) + ",digit\n" + "".join(lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Path:
    folder = tmp_path_factory.mktemp("series")
    rows = digits.train.inputs, digits.train.labels
    (folder / "digits.ts").write_text(as_ts(*rows))
    (folder / "digits.csv").write_text(as_csv(*rows))
    return folder


@pytest.mark.parametrize("kind", sorted(SOURCES))
@pytest.mark.parametrize("model", ["tcn", "gru"])
def test_a_network_learns_series_of_a_file(
    model: str, kind: str, folder: Path, make_recipe: MakeRecipe
) -> None:
    source = SOURCES[kind]
    data = load(source, roots=(str(folder),), cache_dir=folder / "cache")
    assert data.shape.input_shape == (8, 8)
    config = {"width": 32, "patch": 1, "depth": 1, "readout": "max"}
    recipe = replace(make_recipe(model, config=config, epochs=6), data=source)
    first, *_, last = (epoch.metrics for epoch in train(recipe, data))
    assert last["train_loss"] < 0.5 * first["train_loss"]
    assert last["val_accuracy"] > 0.85
