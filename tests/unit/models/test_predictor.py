"""Networks as programs: each answers as its module does, for any number of rows."""

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from models.build import build_model, model_arguments
from models.catalog import DataShape
from models.data.preparation import ImagePreparation, RowPreparation
from models.entries import catalog
from models.exported import predictor as predictors
from models.exported.predictor import (
    FormatRefused,
    Predictor,
    export_onnx,
    export_program,
    read_predictor,
)
from models.recipe import Recipe
from models.sealed import seal
from tests.unit.models.conftest import MakeRecipe

IMAGES = DataShape(
    input_shape=(3, 12, 10), classes=5, train_rows=9, val_rows=9, test_rows=0, labels=(0, 4)
)
ROWS = DataShape(
    input_shape=(6,), classes=3, train_rows=9, val_rows=9, test_rows=0, labels=(0, 2),
    kind="table", categories=(4, 3),
)  # fmt: skip
NUMBERS = DataShape(
    input_shape=(6,), classes=0, train_rows=9, val_rows=9, test_rows=0, labels=(0, 0),
    kind="table", categories=(4, 3),
)  # fmt: skip
SHAPES = {"image": (IMAGES,), "table": (ROWS, NUMBERS)}
EVERY = [
    pytest.param(model.name, shape, id=f"{model.name}-{shape.kind}-{shape.classes}")
    for model in catalog().models.values()
    for kind in model.kinds
    for shape in SHAPES.get(kind, ())
]


def prepared(shape: DataShape) -> ImagePreparation | RowPreparation:
    if shape.kind == "image":
        means = torch.tensor([40.0, 90.0, 120.0]).view(-1, 1, 1)
        return ImagePreparation(mean=means, std=means / 3)
    return RowPreparation(document={}, unit=7.0, zero=100.0)


def rows_of(shape: DataShape, rows: int) -> Tensor:
    generator = torch.Generator().manual_seed(rows)
    if shape.kind == "image":
        size = (rows, *shape.input_shape)
        return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    numbers = torch.randn(rows, 4, generator=generator)
    return torch.cat([numbers, torch.randint(0, 3, (rows, 2), generator=generator)], 1)


@pytest.fixture
def write(tmp_path: Path, make_recipe: MakeRecipe) -> Any:
    """Write an exported network of drawn weights; its file, and the module in the same state."""

    def write(model: str, shape: DataShape, loss: str) -> tuple[Path, torch.nn.Module]:
        torch.manual_seed(0)
        recipe: Recipe = make_recipe(model, loss=loss)
        module = build_model(model, recipe.config, shape).eval()
        document = {
            "format": "tuner-model-1",
            "model": model,
            "arguments": model_arguments(model, recipe.config, shape),
            "shape": asdict(shape),
            "preparation": prepared(shape).to_json(),
            "recipe": recipe.to_json(),
        }
        path = tmp_path / "model.safetensors"
        path.write_bytes(b"".join(seal(module.state_dict(), document)))
        return path, module

    return write


def expected(module: torch.nn.Module, shape: DataShape, rows: Tensor) -> Tensor:
    with torch.inference_mode():
        outputs: Tensor = module(prepared(shape)(rows.clone()))
    return outputs.softmax(1) if shape.classes else outputs[:, 0] * 7.0 + 100.0


@pytest.mark.parametrize(("model", "shape"), EVERY)
def test_every_model_answers_as_a_program_of_pytorch_as_it_does_itself(
    write: Any, model: str, shape: DataShape
) -> None:
    path, module = write(model, shape, "cross_entropy" if shape.classes else "mse")
    extra = {"about.json": ""}
    loaded = torch.export.load(io.BytesIO(export_program(path)), extra_files=extra)
    for count in (1, 5):
        rows = rows_of(shape, count)
        found = loaded.module()(rows)
        torch.testing.assert_close(found, expected(module, shape, rows), atol=1e-5, rtol=1e-5)
    assert json.loads(extra["about.json"])["model"] == model


@pytest.mark.parametrize(("model", "shape"), EVERY)
def test_every_model_answers_in_onnx_as_it_does_itself(
    write: Any, model: str, shape: DataShape
) -> None:
    path, module = write(model, shape, "cross_entropy" if shape.classes else "mse")
    document = onnx.load_from_string(export_onnx(path))
    onnx.checker.check_model(document)
    evaluator = ReferenceEvaluator(document)
    for count in (1, 5):
        rows = rows_of(shape, count)
        (found,) = evaluator.run(None, {"rows": rows.numpy()})
        np.testing.assert_allclose(found, expected(module, shape, rows), atol=1e-5, rtol=1e-5)
    assert document.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    about = {entry.key: entry.value for entry in document.metadata_props}
    assert json.loads(about["tuner"])["model"] == model


def test_a_network_that_answers_a_logarithm_is_a_program_that_answers_the_number(
    write: Any,
) -> None:
    path, module = write("mlp", NUMBERS, "poisson")
    predictor, _ = read_predictor(path)
    rows = rows_of(NUMBERS, 5)
    with torch.inference_mode():
        torch.testing.assert_close(predictor(rows), module(rows)[:, 0].exp())
    assert isinstance(predictor, Predictor)
    assert predictor.output == "predictions"


def test_onnx_without_its_packages_names_the_remedy(
    write: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = write("mlp", ROWS, "cross_entropy")
    monkeypatch.setattr(predictors.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FormatRefused, match=r"ONNX needs onnx and onnxscript: pip install 'tun"):
        export_onnx(path)
    target = tmp_path / "model.onnx"
    monkeypatch.setattr(predictors.signal, "alarm", lambda seconds: 0)
    assert predictors.main([str(path), str(target), "onnx"]) == predictors.REFUSED
    assert "pip install 'tuner[onnx]'" in capsys.readouterr().err
    assert not target.exists()
