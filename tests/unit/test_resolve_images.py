"""Specs about folders of images: what becomes of them, and what is wrong with them, in words."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tuner.errors import SpecInvalid
from tuner.planning.plan import Plan
from tuner.planning.resolve import resolve
from tuner.spec import TrainingSpec

ESSENTIALS = {"model": "convnet", "loss": "cross_entropy", "optimizer": "adamw"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for index in range(6):
            Image.new("RGB", (48, 36)).save(tmp_path / "pets" / label / f"{index}.jpg")
    return tmp_path


def plan_of(root: Path, data: dict[str, Any]) -> Plan:
    return resolve(TrainingSpec.parse({**ESSENTIALS, "data": data}), (str(root),))


def test_what_is_made_of_images_is_told_before_anything_runs(root: Path) -> None:
    plan = plan_of(root, {"images": "pets", "size": [24, 32], "test": 0})
    shape = plan.data_shape
    assert (shape.kind, shape.input_shape, shape.classes) == ("image", (3, 24, 32), 2)
    assert (shape.train_rows, shape.val_rows, shape.test_rows) == (10, 2, 0)
    assert "12 images, by class: 'cat' 6, 'dog' 6." in plan.notes
    assert (
        "Images of 36x48 (height x width) become 24x32, as told: their middle cut to that shape."
        in plan.notes
    )


@pytest.mark.parametrize(
    ("data", "pointer", "detail"),
    [
        ({"images": "dogs"}, "/data", "There is no folder or file 'dogs' below the data roots"),
        ({"images": "pets", "size": 0}, "/data", "size = 0 must be a whole number of pixels or"),
        ({"images": "pets", "colour": "red"}, "/data", "colour = 'red' must be one of auto, grey"),
        ({"images": "pets", "target": "cat"}, "/data/target", "data images takes no 'target'"),
    ],
)
def test_what_is_wrong_is_said(root: Path, data: dict[str, Any], pointer: str, detail: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(root, data)
    [fault] = caught.value.faults
    assert fault.pointer == pointer
    assert detail in fault.detail
