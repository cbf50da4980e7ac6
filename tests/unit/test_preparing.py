"""A spec puts modules in front of its networks; what cannot be is refused with a remedy."""

from dataclasses import replace
from typing import Any

import pytest

from models.catalog import DataShape
from models.entries import catalog
from tests.factories import make_spec
from tuner.errors import SpecInvalid
from tuner.planning.capacity import Capacity
from tuner.planning.extremes import sized
from tuner.planning.plan import Plan
from tuner.planning.preparing import Preparing, preparing
from tuner.planning.resolve import resolve
from tuner.spec import TrainingSpec

IMAGES = DataShape(
    input_shape=(3, 32, 32), classes=10, train_rows=900, val_rows=100, test_rows=0, labels=(0, 9)
)
TABLE = replace(IMAGES, input_shape=(30,), kind="table")
SERIES = replace(IMAGES, input_shape=(2, 100), kind="series")
TEXT = replace(IMAGES, input_shape=(64,), kind="text")


def prepared(shape: DataShape, *names: str, **overrides: Any) -> Preparing:
    spec = TrainingSpec.parse(make_spec(prepare=list(names), **overrides))
    return preparing(spec, catalog(), shape, ("mypkg",))


def plan_of(**overrides: Any) -> Plan:
    spec = make_spec(**{"model": "mlp", "data": "breast_cancer", **overrides})
    return resolve(TrainingSpec.parse(spec), (), ("mypkg",))


@pytest.mark.parametrize("spec", [{}, {"prepare": "none"}, {"prepare": []}])
def test_nothing_stands_in_front_of_a_network_unasked(spec: dict[str, Any]) -> None:
    plan = plan_of(**spec)
    assert plan.capacity.prepare == ()
    assert not {h for e in catalog().preparers.values() for h in e.hyperparameters} & {
        *plan.space.parameters
    }


def test_what_the_spec_names_is_on_in_trial_0_and_searched_in_its_order() -> None:
    found = prepared(SERIES, "instance_norm", "clip")
    assert [(p.name, p.default) for p in found.parameters] == [
        ("instance_norm", True),
        ("clip", 3.0),
    ]
    plan = plan_of(prepare="clip")
    assert "clip" in {p.name for p in plan.space.searched}
    assert plan.default_config["clip"] == 3.0
    assert plan.capacity.prepare == ("clip",)
    assert (
        "clip stands in front of the network, since prepare names it; it is searched, and 3.0 in "
        "trial 0."
    ) in plan.notes
    assert Plan.from_json(plan.to_json()) == plan


def test_it_is_fixed_searched_and_switched_off_like_any_other_hyperparameter() -> None:
    space = {"clip": {"choice": [0.0, 2.0, 4.0]}}
    plan = plan_of(prepare=["clip"], space=space, start=[{"clip": 0.0}])
    assert plan.space["clip"].choices == (0.0, 2.0, 4.0)  # type: ignore[union-attr]
    assert "clip stands in front of the network, since prepare names it." in plan.notes
    fixed = plan_of(data="digits", prepare="instance_norm", space={"instance_norm": True})
    assert "instance_norm" not in {p.name for p in fixed.space.searched}


def test_a_plan_stored_before_is_read_as_it_was() -> None:
    plan = plan_of()
    document = plan.to_json()
    del document["capacity"]["prepare"]
    assert Plan.from_json(document) == plan


def test_the_sizes_of_a_plan_are_those_of_what_the_network_sees() -> None:
    found = prepared(IMAGES, "grayscale")
    assert found.shape.input_shape == (1, 32, 32)
    assert found.notes == (
        "grayscale stands in front of the network, since prepare names it, and makes 1 x 32 x 32 "
        "of 3 x 32 x 32; it is searched, and True in trial 0.",
    )
    capacity = Capacity(
        model="mlp", optimizer="adamw", shape=IMAGES, max_parameters=10**9, prepare=("grayscale",)
    )
    config = {"depth": 1, "width": 10, "normalisation": "none"}
    grey, coloured = (capacity.size({**config, "grayscale": on}).parameters for on in (True, False))
    assert coloured - grey == 2 * 32 * 32 * 10
    assert capacity.size(config).parameters == grey


def test_what_changes_the_shape_is_weighed_like_a_width() -> None:
    plan = plan_of(data="digits", prepare=["instance_norm"])
    assert "instance_norm" in {p.name for p in sized(plan.space, plan.capacity)}


def test_an_import_path_is_on_and_told_to_be_measured_by_the_probe() -> None:
    plan = plan_of(prepare=["mypkg.prep:Fold", "clip"], space={"turns": {"int": [1, 4]}})
    assert plan.default_config["mypkg.prep:Fold"] is True
    assert plan.space["turns"].source == "an argument of mypkg.prep:Fold"
    assert (
        "mypkg.prep:Fold stands in front of the network, since prepare names it; the sizes told "
        "here take it to change no shape, and the probe counts."
    ) in plan.notes
    searched = plan_of(
        prepare="mypkg.prep:Fold", space={"mypkg.prep:Fold": {"choice": [True, False]}}
    )
    assert "mypkg.prep:Fold" in {p.name for p in searched.space.searched}


def test_behind_imported_code_any_shape_may_come() -> None:
    grey = replace(IMAGES, input_shape=(1, 32, 32))
    assert prepared(grey, "mypkg.prep:Colour", "grayscale").parameters


@pytest.mark.parametrize(
    ("shape", "names", "detail"),
    [
        (TABLE, ["clp"], "preparation 'clp' is unknown: did you mean 'clip'?"),
        (
            TABLE,
            ["sharpen"],
            "preparation 'sharpen' is unknown: known: clip, grayscale, instance_norm, none.",
        ),
        (
            IMAGES,
            ["clip"],
            "preparation clip is for data of kind table or series, not image: use one of "
            "grayscale, instance_norm.",
        ),
        (
            TEXT,
            ["clip"],
            "preparation clip is for data of kind table or series, not text: use prepare: none.",
        ),
        (
            TEXT,
            ["mypkg.prep:Fold"],
            "preparation mypkg.prep:Fold is for data of kind image or table or series, not text: "
            "use prepare: none.",
        ),
        (
            replace(IMAGES, input_shape=(1, 28, 28)),
            ["grayscale"],
            "preparation grayscale makes one channel of 3, and these images have 1: leave it out.",
        ),
        (
            replace(TABLE, input_shape=(2,), categories=(3, 4)),
            ["clip"],
            "preparation clip is for numbers, and all columns are categories: leave it out.",
        ),
        (TABLE, ["clip", "clip"], "prepare names clip more than once; remove the others."),
        (
            TABLE,
            ["none", "clip"],
            "prepare: none stands alone, without other names beside it.",
        ),
        (
            TABLE,
            ["other.prep:Fold"],
            "preparation 'other.prep:Fold' is an import path, and this server imports code from "
            "mypkg only: add other to its setting TUNER_ALLOWED_CODE, or name a part of the "
            "catalogue.",
        ),
        (
            TABLE,
            ["mypkg.prep:"],
            "preparation 'mypkg.prep:' is no import path; write package.module:Name.",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_remedy(
    shape: DataShape, names: list[str], detail: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        prepared(shape, *names)
    assert [(f.pointer, f.detail) for f in caught.value.faults] == [("/prepare", detail)]


@pytest.mark.parametrize(
    ("overrides", "pointer", "detail"),
    [
        (
            {"prepare": "clip", "space": {"clip": -1}},
            "/space/clip",
            "clip = -1 must be a number of at least 0.",
        ),
        (
            {"data": "digits", "prepare": "instance_norm", "space": {"instance_norm": 1}},
            "/space/instance_norm",
            "instance_norm = 1 must be one of False, True.",
        ),
        (
            {"space": {"clip": 3.0}},
            "/space/clip",
            "'clip' is of a preparation this job does not have: name it, as in prepare: [clip].",
        ),
        (
            {"prepare": 3},
            "/prepare",
            "prepare = 3: should be a valid string, or should be a valid list.",
        ),
    ],
)
def test_values_that_cannot_be_are_refused_by_name(
    overrides: dict[str, Any], pointer: str, detail: str
) -> None:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(**overrides)
    assert [(f.pointer, f.detail) for f in caught.value.faults] == [(pointer, detail)]
