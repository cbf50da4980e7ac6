"""Specs that name a network, or data, of one's own: what they come to, and what is refused."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock

from models.hyperparameters import Choice, Integer
from tests.factories import make_spec
from tuner.db import Database
from tuner.errors import PlanningBusy, SpecInvalid
from tuner.foreign.manifest import manifest_of
from tuner.planning.plan import Plan
from tuner.planning.resolve import resolve
from tuner.service import Service
from tuner.service.planner import answer
from tuner.service.planning import planned_aside
from tuner.settings import Settings
from tuner.spec import TrainingSpec

CODE = """
from torch import nn, randn


class Net(nn.Module):
    def __init__(self, input_shape, num_classes, width: int = 64, depth: int = 2, heads: int = 2,
                 lr: float = 0.5, activation: str = "relu"):
        super().__init__()
        if width % heads:
            raise ValueError(f"heads = {heads} do not divide width = {width}")
        steps = [nn.Linear(width, width) for _ in range(depth)]
        self.first = nn.Linear(input_shape[-1] * input_shape[-2], width)
        self.body = nn.Sequential(*steps)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.head(self.body(self.first(x.flatten(1))))


class Wanting(Net):
    def __init__(self, table, **rest):
        super().__init__(**rest)


class Columns(nn.Module):
    def __init__(self, in_features, num_classes, width=8):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(in_features, width), nn.Linear(width, num_classes))

    def forward(self, x):
        return self.fc(x)


def make(n=60, columns=4):
    x = randn(n, columns)
    return x, (x[:, 0] > 0).long()
"""
ALLOWED = ("ownplans",)


@pytest.fixture(autouse=True)
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "ownplans.py").write_text(CODE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", ":".join((str(folder), *sys.path)))
    monkeypatch.delitem(sys.modules, "ownplans", raising=False)
    return folder


def spec_of(**overrides: Any) -> TrainingSpec:
    return TrainingSpec.parse(make_spec(**{"model": "ownplans:Net", **overrides}))


def plan_of(**overrides: Any) -> Plan:
    return resolve(spec_of(**overrides), (), ALLOWED)


def refusals(**overrides: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(**overrides)
    return [(fault.pointer, fault.code, fault.detail) for fault in caught.value.faults]


def test_trial_0_has_the_constructors_defaults_and_the_rest_is_searched() -> None:
    plan = plan_of()
    default = dict(plan.default_config)
    assert {"width": 64, "depth": 2, "heads": 2, "model.lr": 0.5}.items() <= default.items()
    assert default["lr"] == 3e-3
    assert not {"activation", "input_shape", "num_classes"} & default.keys()
    searched = {parameter.name: parameter for parameter in plan.space.searched}
    width = searched["width"]
    assert isinstance(width, Choice)
    assert width.choices == (16, 32, 64, 128)
    assert width.source.startswith("a width by its name")
    assert {"depth", "heads", "model.lr"} <= searched.keys()


def test_sizes_are_those_of_the_network_itself() -> None:
    plan = plan_of(space={"heads": 2})
    assert plan.parameters is not None
    assert plan.parameters.default == 64 * 65 + 2 * 64 * 65 + 65 * 10
    assert plan.parameters.largest == 65 * 128 + 4 * 128 * 129 + 129 * 10
    assert plan.parameters.smallest == 65 * 16 + 16 * 17 + 17 * 10
    assert plan.memory_mb is not None
    assert plan.memory_mb > 12 * plan.parameters.default * 4 / 2**20 / 4
    assert 1 < plan.parameters.largest / plan.parameters.default < 10


def test_a_space_may_say_more_of_it_and_give_what_has_no_default() -> None:
    space = {
        "width": {"int": [8, 16]},
        "activation": {"choice": ["tanh", "sine"]},
        "model.lr": 0.1,
    }
    plan = plan_of(space=space)
    assert plan.space["activation"].source == "an argument of ownplans:Net"
    assert plan.default_config["model.lr"] == 0.1
    assert plan.default_config["activation"] == "tanh"  # not one of the catalogue's


def test_too_large_a_network_is_cut_off_or_refused() -> None:
    plan = plan_of(limits={"max_parameters": 20_000}, space={"heads": 1, "depth": 1})
    (width,) = [p for p in plan.space.parameters if p.name == "width"]
    assert isinstance(width, Choice)
    assert width.choices == (16, 32, 64)
    assert any("no ownplans:Net with them stays within 20,000 par" in n for n in plan.notes)
    ((pointer, code, detail),) = refusals(limits={"max_parameters": 100})
    assert (pointer, code) == ("/space", "too-large")
    assert detail.startswith("The smallest ownplans:Net of this space (depth = 1, width = 16) pass")


def test_a_scheduler_takes_every_configuration_for_feasible_without_its_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = Plan.from_json(json.loads(json.dumps(plan_of().to_json())))
    monkeypatch.delitem(sys.modules, "ownplans")
    monkeypatch.setattr(sys, "path", [])
    assert plan.feasible({**plan.default_config, "width": 10**9})


def test_a_value_that_builds_nothing_is_told_and_cuts_nothing_off() -> None:
    plan = plan_of(space={"width": {"int": [15, 64]}, "heads": 2})
    width = plan.space["width"]
    assert isinstance(width, Integer)
    assert (width.low, width.high) == (15, 64)
    (note,) = [note for note in plan.notes if note.startswith("width = 15 builds nothing")]
    assert note.endswith("ValueError: heads = 2 do not divide width = 15")
    assert plan.parameters is not None
    assert plan.parameters.smallest > 0


@pytest.mark.parametrize(
    ("overrides", "pointer", "detail"),
    [
        (
            {"model": "ownplans:Nett"},
            "/model",
            "ownplans:Nett: module ownplans has no 'Nett'; did you mean 'Net'?",
        ),
        (
            {"model": "ownplans:Wanting"},
            "/model",
            "ownplans:Wanting wants table, which image data does not give: give it a default, or "
            "a value or a range in space, as in space: {table: 3}.",
        ),
        (
            {"space": {"heads": 3}},
            "/model",
            "ownplans:Net cannot be built with input_shape = (1, 8, 8), num_classes = 10, "
            "width = 64, depth = 2, heads = 3, lr = 0.5: ValueError: heads = 3 do not divide",
        ),
        (
            {"start": [{"width": 15}], "space": {"width": {"int": [15, 64], "default": 64}}},
            "/start/0",
            "The ownplans:Net of this start point (depth = 2, width = 15): ownplans:Net cannot be",
        ),
        (
            {"space": {"momentum": 0.3}},
            "/space/momentum",
            "'momentum' is no hyperparameter of this combination: it belongs to sgd and",
        ),
        (
            {"space": {"widht": 3}},
            "/space/widht",
            "'widht' is no hyperparameter of this combination: did you mean 'width'?",
        ),
        (
            {"data": {"python": "ownplans:make", "m": 3}, "model": "ownplans:Columns"},
            "/data",
            "data {'python': 'ownplans:make', 'm': 3}: ownplans:make called with m = 3 raised",
        ),
        (
            {"data": "ownplans:made", "model": "ownplans:Columns"},
            "/data",
            "data 'ownplans:made': ownplans:made: module ownplans has no 'made'; did you mean",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_remedy(
    overrides: dict[str, Any], pointer: str, detail: str
) -> None:
    ((found, _, said),) = refusals(**overrides)
    assert found == pointer
    assert said.startswith(detail)


def test_a_network_that_takes_no_categories_is_told_to_see_their_codes(tmp_path: Path) -> None:
    lines = ["a,city,high", *(f"{i},{'xyz'[i % 3]},{'yes' if i % 2 else 'no'}" for i in range(60))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    spec = spec_of(data={"csv": "rows.csv", "target": "high"}, model="ownplans:Columns")
    notes = resolve(spec, (str(tmp_path),), ALLOWED).notes
    assert any(
        note.startswith("The last 1 columns are codes of categories, which ownplans:Columns sees")
        for note in notes
    )


def test_data_of_ones_own_are_looked_at_and_pinned_to_what_they_were() -> None:
    data = {"python": "ownplans:make", "n": 80}
    plan = plan_of(data=data, model="ownplans:Columns", loss="cross_entropy")
    shape = plan.data_shape
    assert (shape.kind, shape.input_shape, shape.classes) == ("table", (4,), 2)
    assert shape.train_rows + shape.val_rows == 80
    assert len(shape.digest) == 64
    assert Plan.from_json(plan.to_json()) == plan
    assert "80 training examples, taken for rows of a table, 4 each" in plan.notes[-1]
    assert spec_of(data=data).title == "ownplans:Net on ownplans:make"


def test_another_process_answers_as_this_one_would(tmp_path: Path) -> None:
    spec = spec_of(search={"seed": 3})
    assert planned_aside(spec, (), ALLOWED, folder=tmp_path) == resolve(spec, (), ALLOWED)
    with pytest.raises(SpecInvalid) as caught:
        planned_aside(spec_of(space={"widht": 3}), (), ALLOWED, folder=tmp_path)
    assert [f.pointer for f in caught.value.faults] == ["/space/widht"]


def test_code_that_the_job_brings_is_found_whatever_it_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "brought"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "nets.py").write_text(CODE)
    code = {"sha256": manifest_of(folder).sha256, "folder": str(folder), "refused": None}
    spec = spec_of(model="models.nets:Columns", data={"python": "models.nets:make", "n": 70})
    plan = planned_aside(spec, (), ("models",), code=code, folder=tmp_path)
    assert plan.data_shape.train_rows + plan.data_shape.val_rows == 70
    assert plan.default_config["width"] == 8
    (folder / "models" / "nets.py").write_text(CODE + "# altered")
    with pytest.raises(SpecInvalid, match="was altered in") as caught:
        planned_aside(spec, (), ("models",), code=code, folder=tmp_path)
    assert [fault.pointer for fault in caught.value.faults] == ["/code"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise RuntimeError('no licence')", "importing odd raised RuntimeError: no licence"),
        ("import os; os._exit(7)", "ended with exit code 7: it said nothing."),
        ("import os; os.kill(os.getpid(), 11)", "was ended by signal 11: it said nothing."),
        ("import os, sys; print('first\\nlast', file=sys.stderr); os.abort()", "signal 6: last."),
        ("raise SystemExit('bye')", "was ended with exit code 1: bye."),
        ("print('{\"plan\": 1}'); Net = 3", "odd:Net is no class; name a class of networks"),
    ],
)
def test_code_that_ends_its_process_is_a_fault_of_the_spec(
    code: str, said: str, ours: Path, tmp_path: Path
) -> None:
    (ours / "odd.py").write_text(code)
    with pytest.raises(SpecInvalid) as caught:
        planned_aside(spec_of(model="odd:Net"), (), ("odd",), folder=tmp_path)
    (fault,) = caught.value.faults
    assert fault.pointer == "/model"
    assert said in fault.detail


@pytest.mark.parametrize("ending", ["", "raise RuntimeError('too bad')"])
def test_nothing_that_code_starts_outlives_the_look_at_it(
    ending: str, ours: Path, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    lines = (
        "import subprocess, sys",
        "waiting = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])",
        f"open({str(started)!r}, 'w').write(str(waiting.pid))",
        ending,
        "from ownplans import Net",
    )
    (ours / "starting.py").write_text("\n".join(lines))
    with suppress(SpecInvalid):
        planned_aside(spec_of(model="starting:Net"), (), ("starting",), folder=tmp_path)
    with suppress(psutil.NoSuchProcess):
        waiting = psutil.Process(int(started.read_text()))
        try:
            waiting.wait(60)
        finally:
            with suppress(psutil.NoSuchProcess):
                waiting.kill()


def test_code_that_never_ends_is_a_fault_of_the_spec(ours: Path, tmp_path: Path) -> None:
    # What is waited for never comes; how long that is looked at does not matter.
    (ours / "endless.py").write_text("import threading; threading.Event().wait()")
    with pytest.raises(SpecInvalid, match=r"endless:Loss: it takes longer than 0\.5 s\. Importing"):
        planned_aside(
            spec_of(model="mlp", loss="endless:Loss"),
            (),
            ("endless",),
            folder=tmp_path,
            limit_s=0.5,
        )


def test_others_that_are_looked_at_come_first(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".planning.lock"), pytest.raises(PlanningBusy):
        planned_aside(spec_of(), (), ALLOWED, folder=tmp_path, wait_s=0.001)


def test_parts_by_import_path_are_looked_at_too() -> None:
    spec = spec_of(loss="ownplans:Nothing", optimizer="ownplans:Net")
    found = answer({"spec": spec.to_json(), "roots": [], "allowed_code": ["ownplans"]})
    assert [(fault["pointer"], fault["detail"]) for fault in found["faults"]] == [
        ("/loss", "ownplans:Nothing: module ownplans has no 'Nothing'; define it there, or correct "
         "the name."),
        ("/optimizer", "ownplans:Net is no subclass of torch.optim.Optimizer; name one."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "pointer"),
    [
        ({"model": "other:Net"}, "/model"),
        ({"data": {"python": "other:make"}}, "/data"),
        ({"loss": "other:Loss"}, "/loss"),
        ({"augment": ["other:Blur"]}, "/augment"),
        ({"prepare": "other:Logs"}, "/prepare"),
    ],
)
def test_code_that_is_not_allowed_starts_no_process_and_is_not_imported(
    overrides: dict[str, Any],
    pointer: str,
    sqlite_database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = {"model": "ownplans:Net", **overrides}
    found = answer(
        {"spec": make_spec(**spec), "roots": [], "allowed_code": ["ownplans"]},
    )
    assert [fault["pointer"] for fault in found["faults"]] == [pointer]
    monkeypatch.setattr("tuner.service.submission.planned_aside", _not_expected)
    service = Service(sqlite_database, settings)
    with pytest.raises(SpecInvalid) as caught:
        service.validate(make_spec(**overrides))
    assert [fault.pointer for fault in caught.value.faults] == [pointer]
    assert "this server imports no such code: add other to its setting" in str(caught.value)


def _not_expected(*arguments: Any, **others: Any) -> Plan:
    raise AssertionError(arguments)
