"""Specs about tables: what becomes of them, and what is wrong with them, in words."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv as pacsv
from pyarrow import parquet

from models import memory
from models.data.tables import reading
from tuner.errors import SpecInvalid
from tuner.planning.plan import Plan
from tuner.planning.resolve import resolve
from tuner.planning.scaling import scaled_source
from tuner.spec import TrainingSpec
from tuner.states import Direction

#: Forty good rows; the lines of a bad table are put in or taken away.
ROWS = [f"{i},{'red' if i % 2 else 'blue'},{i * 7 % 20}" for i in range(40)]
ESSENTIALS = {"model": "mlp", "data": "wine", "loss": "cross_entropy", "optimizer": "adamw"}


def plan_of(*, roots: tuple[str, ...] = (), **overrides: Any) -> Plan:
    return resolve(TrainingSpec.parse({**ESSENTIALS, **overrides}), roots)


def test_a_table_and_its_columns_are_told_before_anything_runs() -> None:
    plan = plan_of()
    assert (plan.data_shape.kind, plan.data_shape.classes) == ("table", 3)
    assert "Column 'target' (text): target: 3 classes, class_0, class_1, class_2." in plan.notes
    assert "Column 'alcohol' (number): number." in plan.notes
    assert "number_embedding" in plan.space.names
    assert Plan.from_json(plan.to_json()) == plan


def test_a_number_is_judged_by_its_error() -> None:
    plan = plan_of(data="diabetes", loss="mse")
    assert (plan.metric, plan.direction) == ("val_rmse", Direction.MINIMIZE)
    assert plan.data_shape.classes == 0


@pytest.mark.parametrize(
    ("overrides", "pointer", "detail"),
    [
        (
            {"model": "convnet"},
            "/model",
            "model 'convnet' is for data of kind image, not table: use mlp or transformer.",
        ),
        (
            {"data": "diabetes"},
            "/loss",
            "loss cross_entropy: the target is a number; cross_entropy takes classes: "
            "use mse, huber, l1 or poisson.",
        ),
        (
            {"loss": "mse"},
            "/loss",
            "loss mse: the target has 3 classes; mse takes numbers: "
            "use cross_entropy, nll, focal or multi_margin.",
        ),
        (
            {"data": "diabetes", "loss": "mse", "metric": "val_accuracy"},
            "/metric",
            "metric 'val_accuracy' is one of classes, but the target is a number: "
            "use val_rmse, val_mae, val_r2, val_loss or train_loss.",
        ),
        (
            {"space": {"growth": 2}},
            "/space/growth",
            "'growth' is no hyperparameter of this combination: known: accumulation, "
            "activation, averaging, batch_size, beta1, beta2, clip_norm, depth, dropout, "
            "early_stopping, ema_decay, embedding_sigma, folds, label_smoothing, lr, "
            "normalisation, number_embedding, precision, residual, schedule, swa_start, warmup, "
            "weight_decay, width.",
        ),
        (
            {"data": {"csv": "a.csv", "taget": "y"}},
            "/data",
            "data = {'csv': 'a.csv', 'taget': 'y'}: of 'taget' nothing is known, "
            "did you mean 'target'?",
        ),
        (
            {"data": {"idx": "mnist", "target": "y"}},
            "/data/target",
            "data idx takes no 'target': leave it out.",
        ),
        (
            {"data": {"csv": "a.csv", "target": "y"}},
            "/data",
            "data {'csv': 'a.csv', 'target': 'y'}: There is no file 'a.csv' below the data roots",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_remedy(
    overrides: dict[str, Any], pointer: str, detail: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(roots=(str(tmp_path),), **overrides)
    (fault,) = caught.value.faults
    assert fault.pointer == pointer
    assert fault.detail.startswith(detail)


@pytest.mark.parametrize(
    ("rows", "source", "overrides", "pointer", "detail"),
    [
        (
            ROWS,
            {"target": "colr"},
            {},
            "/data",
            "target names column 'colr', which the table does not have; did you mean 'colour'?",
        ),
        (
            ROWS,
            {"target": "colour", "ignore": ["wheight"]},
            {},
            "/data",
            "ignore names column 'wheight', which the table does not have; did you mean 'weight'?",
        ),
        (
            [row.replace("blue", "red") for row in ROWS],
            {"target": "colour"},
            {},
            "/data",
            "Target 'colour' has one value, 'red', in all rows; a class is only learned beside "
            "another: name another target, or add rows.",
        ),
        (
            [*ROWS, "1,green,2", "2,green,3"],
            {"target": "colour"},
            {},
            "/data",
            "Class 'green' of target 'colour' has 2 rows; 3 are needed, one for each of training, "
            "validation and test: add rows, or set test: 0, or remove the class.",
        ),
        (
            [*ROWS, "1,green,2", "2,green,3", "3,green,4"],
            {"target": "colour"},
            {"loss": "bce"},
            "/loss",
            "loss bce: labels run from 0 to 2; binary cross-entropy takes 0 and 1: use "
            "cross_entropy or multi_margin for more classes, or renumber the labels.",
        ),
        (
            [*ROWS, "heavy,red,1"],
            {"target": "colour"},
            {},
            "/data",
            "Column 'weight' holds numbers but for 1 of its values; the first is 'heavy' in row "
            "41: correct it, or list the column under ignore.",
        ),
        (
            [*ROWS[:9], "3,red,nan", *ROWS],
            {"target": "price", "task": "number"},
            {"loss": "mse"},
            "/data",
            "Target 'price' has no value in 1 of 50 rows, the first is row 10; fill them in or "
            "remove the rows.",
        ),
        (
            [*ROWS, "3,red,-2.5"],
            {"target": "price"},
            {"loss": "poisson"},
            "/loss",
            "loss poisson: the target's smallest value is -2.5; poisson takes numbers of at least "
            "0: use mse, huber or l1.",
        ),
        (
            [*ROWS, "3,red,2.5"],
            {"target": "price"},
            {},
            "/loss",
            "loss cross_entropy: the target is a number; cross_entropy takes classes: use mse, "
            "huber, l1 or poisson. If each of its values is a class, add task: classes to the "
            "data.",
        ),
        (
            ROWS,
            {"target": "colour"},
            {"space": {"batch_size": {"choice": [8, 27]}}},
            "/space/batch_size",
            "batch_size = 27 exceeds the 26 rows of training data.",
        ),
        (
            ["1,red", *ROWS],
            {"target": "colour"},
            {},
            "/data",
            "Row 1 of goods.csv has 2 fields where the first line names 3 columns: '1,red'; "
            "correct the row.",
        ),
    ],
)
def test_bad_data_is_refused_at_submission_with_field_value_and_remedy(
    rows: list[str],
    source: dict[str, Any],
    overrides: dict[str, Any],
    pointer: str,
    detail: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "goods.csv").write_text("\n".join(["weight,colour,price", *rows, ""]))
    with pytest.raises(SpecInvalid) as caught:
        plan_of(roots=(str(tmp_path),), data={"csv": "goods.csv", **source}, **overrides)
    (fault,) = caught.value.faults
    assert fault.pointer == pointer
    assert fault.detail.endswith(detail)


def test_the_scaling_of_a_table_can_be_searched_and_each_trial_has_its_own_data() -> None:
    searched = {"scaling": {"choice": ["standard", "quantile", "yeo-johnson"]}}
    plan = plan_of(space=searched)
    assert "scaling" in {parameter.name for parameter in plan.space.searched}
    assert plan.default_config["scaling"] == "standard"
    spec = TrainingSpec.parse({**ESSENTIALS, "space": searched})
    source = scaled_source(spec, {**plan.default_config, "scaling": "quantile"})
    assert source.options == {"scaling": "quantile"}
    assert scaled_source(spec, {}) == spec.data_source


def test_what_the_data_says_of_its_scaling_is_trial_0s(tmp_path: Path) -> None:
    (tmp_path / "goods.csv").write_text("\n".join(["weight,colour,price", *ROWS, ""]))
    data = {"csv": "goods.csv", "target": "colour", "scaling": "quantile"}
    space = {"scaling": {"choice": ["yeo-johnson", "quantile"]}}
    assert plan_of(roots=(str(tmp_path),), data=data).space.names.count("scaling") == 0
    plan = plan_of(roots=(str(tmp_path),), data=data, space=space)
    assert plan.default_config["scaling"] == "quantile"


@pytest.mark.parametrize(
    ("overrides", "detail"),
    [
        (
            {"space": {"scaling": "log"}},
            "scaling = 'log' must be one of 'standard', 'quantile', 'yeo-johnson'.",
        ),
        (
            {"data": "digits", "space": {"scaling": "quantile"}},
            "scaling is that of a table's numbers, and data digits is none: leave it out.",
        ),
    ],
)
def test_a_scaling_that_cannot_be_is_refused(overrides: dict[str, Any], detail: str) -> None:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(**overrides)
    assert [(f.pointer, f.detail) for f in caught.value.faults] == [("/space/scaling", detail)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_too_large_for_memory_is_refused_before_it_is_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("the rows were read")

    table = pa.table({f"c{i}": [float(i)] * 1000 for i in range(5)})
    path = tmp_path / f"large.{kind}"
    parquet.write_table(table, path) if kind == "parquet" else pacsv.write_csv(table, path)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=10**9))
    monkeypatch.setattr(memory.cgroup, "memory_free", lambda: 100_000.0)
    monkeypatch.setattr(reading, "read_csv", read)
    monkeypatch.setattr(parquet.ParquetFile, "read", read)
    with pytest.raises(SpecInvalid) as caught:
        plan_of(roots=(str(tmp_path),), data={kind: path.name, "target": "c0"})
    (fault,) = caught.value.faults
    assert fault.pointer == "/data"
    assert re.search(
        rf"large\.{kind} has about 1,00\d rows of 5 columns, which take 0\.2 MB of memory; "
        r"0\.1 MB are free: leave columns out with ignore, or take fewer rows\.$",
        fault.detail,
    )


def test_few_rows_are_validated_in_turn_and_the_plan_says_so(tmp_path: Path) -> None:
    plan = plan_of()
    assert plan.default_config["folds"] == 5
    assert plan.notes[0] == (
        "A trial trains 5 networks, each validated by another part of the rows, since only 28 rows "
        "would validate one; it is judged by their mean, and they answer together. "
        "space: {folds: 1} trains one."
    )
    alone = plan_of(space={"folds": 1})
    assert not any("networks" in note for note in alone.notes)
    assert plan.memory_mb > alone.memory_mb


def test_rows_that_are_divided_by_a_group_have_one_network(tmp_path: Path) -> None:
    rows = [f"{row},{number % 4}" for number, row in enumerate(ROWS)]
    (tmp_path / "t.csv").write_text("\n".join(["n,colour,y,shop", *rows]))
    data = {"csv": "t.csv", "target": "colour"}
    assert plan_of(roots=(str(tmp_path),), data=data).default_config["folds"] == 5
    grouped = {**data, "group": "shop"}
    assert plan_of(roots=(str(tmp_path),), data=grouped).default_config["folds"] == 1
    with pytest.raises(SpecInvalid) as caught:
        plan_of(roots=(str(tmp_path),), data=grouped, space={"folds": 3})
    (fault,) = caught.value.faults
    assert (fault.pointer, fault.detail) == (
        "/space/folds",
        "folds = 3: every row would validate once, but these say themselves which of them "
        "validate, by a group, by time or in files of their own: write folds: 1.",
    )


def test_more_folds_than_the_smallest_class_has_rows_are_refused() -> None:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(space={"folds": {"int": [2, 60]}})
    (fault,) = caught.value.faults
    assert fault.pointer == "/space/folds"
    assert fault.detail == ("folds = 60: the smallest class has 30 rows; write folds: 30 or less.")
