"""A spec adds, removes and fixes augmentations; what cannot be is refused with a remedy."""

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from models.catalog import Catalog, DataShape
from models.entries import catalog
from tests.factories import make_spec
from tuner.errors import SpecInvalid
from tuner.planning.augmenting import augmenting
from tuner.planning.plan import Plan
from tuner.planning.resolve import resolve
from tuner.spec import TrainingSpec

DEFAULTS = {"shift": 0.05, "flip": False, "cutout": 0.0, "mixup": 0.0}
ALL = ("crop", "shift", "flip", "noise", "cutout", "mixup", "cutmix")

PlanOf = Callable[..., Plan]


@pytest.fixture(scope="module")
def plan_of(tmp_path_factory: pytest.TempPathFactory) -> PlanOf:
    """The plan of a spec for images of 28 by 28 pixels and trainings of 40 epochs."""
    root = tmp_path_factory.mktemp("roots")
    rows, side = 60, 28
    sizes, labels = struct.pack(">III", rows, side, side), bytes(i % 10 for i in range(rows))
    images = bytes((0, 0, 8, 3)) + sizes + bytes(rows * side * side)
    (root / "train-images-idx3-ubyte").write_bytes(images)
    (root / "train-labels-idx1-ubyte").write_bytes(
        bytes((0, 0, 8, 1)) + struct.pack(">I", rows) + labels
    )

    def plan(**overrides: Any) -> Plan:
        usual = {"data": {"idx": str(root)}, "budget": {"epochs": 40}}
        spec = make_spec(**usual | overrides)
        return resolve(TrainingSpec.parse(spec), (str(root),))

    return plan


def strengths(plan: Plan) -> dict[str, Any]:
    """The strengths of trial 0."""
    return {name: value for name, value in plan.default_config.items() if name in ALL}


def refusal_of(plan_of: PlanOf, **overrides: Any) -> list[tuple[str, str]]:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(**overrides)
    return [(fault.pointer, fault.detail) for fault in caught.value.faults]


@pytest.mark.parametrize("spec", [{}, {"augment": "auto"}, {"augment": ["auto"]}])
def test_by_default_what_suits_the_data_is_searched_and_shifts_alone_are_on_in_trial_0(
    spec: dict[str, Any], plan_of: PlanOf
) -> None:
    plan = plan_of(**spec)
    assert strengths(plan) == DEFAULTS
    assert {p.name for p in plan.space.searched} >= DEFAULTS.keys()
    assert plan.notes == (
        "shift is searched, and on in trial 0: an image a few pixels aside shows what it showed "
        "before.",
        "flip is searched, and off in trial 0: nothing tells whether a mirrored image is of the "
        "same class (a digit is not), so validation, where no image is flipped, decides.",
        "cutout is searched, and off in trial 0: hiding a part keeps a network from leaning on "
        "it, but slows it down at first.",
        "mixup is searched, and off in trial 0: mixed pairs keep a network from being too sure, "
        "but slow it down at first.",
    )


@pytest.mark.parametrize("spec", [{"augment": "none"}, {"augment": ["none"]}, {"augment": []}])
def test_none_leaves_nothing(spec: dict[str, Any], plan_of: PlanOf) -> None:
    plan = plan_of(**spec)
    assert strengths(plan) == {}
    assert plan.notes == ()


def test_short_trainings_are_left_alone(plan_of: PlanOf) -> None:
    plan = plan_of(budget={"epochs": 5})
    assert strengths(plan) == {}
    assert plan.notes == ()
    assert strengths(plan_of(budget={"epochs": 20})) == {"shift": 0.05, "flip": False}


def test_small_images_are_left_alone(plan_of: PlanOf) -> None:
    plan = plan_of(data="digits")
    assert strengths(plan) == {}
    assert plan.notes == ()
    assert strengths(plan_of(data="digits", augment="cutout")) == {"cutout": 0.25}


def test_a_job_judged_by_its_training_is_left_alone(plan_of: PlanOf) -> None:
    assert strengths(plan_of(metric="train_loss")) == {}
    assert strengths(plan_of(metric="val_loss")) == DEFAULTS


def test_what_the_spec_names_is_on_in_trial_0_and_searched_in_the_order_of_application(
    plan_of: PlanOf,
) -> None:
    plan = plan_of(augment=["cutmix", "flip", "crop"])
    assert strengths(plan) == {"crop": 0.3, "flip": True, "cutmix": 1.0}
    assert [p.name for p in plan.space.searched if p.name in ALL] == ["crop", "flip", "cutmix"]
    assert plan.notes == ()
    assert strengths(plan_of(augment="noise")) == {"noise": 0.1}


def test_names_beside_auto_are_added(plan_of: PlanOf) -> None:
    plan = plan_of(augment=["auto", "noise", "cutout"])
    assert strengths(plan) == {**DEFAULTS, "cutout": 0.25, "noise": 0.1}
    assert [note.split()[0] for note in plan.notes] == ["shift", "flip", "mixup"]


def test_strengths_are_fixed_and_searched_like_any_other_hyperparameter(plan_of: PlanOf) -> None:
    space = {"flip": False, "cutout": {"float": [0.1, 0.3]}}
    plan = plan_of(augment=["flip", "cutout"], space=space)
    assert strengths(plan) == {"flip": False, "cutout": 0.25}
    assert "flip" not in {p.name for p in plan.space.searched}
    assert [note.split()[0] for note in plan_of(space=space).notes] == ["shift", "mixup"]
    start = [{"shift": 0.1, "flip": True, "mixup": 0.3}]
    assert plan_of(start=start).space.complete(start[0])["mixup"] == 0.3


def test_mixing_is_left_out_where_the_loss_cannot_take_it(plan_of: PlanOf) -> None:
    plan = plan_of(loss="multi_margin")
    assert "mixup" not in plan.space.names
    assert "mixup is left out: loss multi_margin takes no mixed labels." in plan.notes


@pytest.mark.parametrize(
    ("overrides", "pointer", "detail"),
    [
        ({"augment": "flp"}, "/augment", "augmentation 'flp' is unknown: did you mean 'flip'?"),
        (
            {"augment": ["shift", "jpeg"]},
            "/augment",
            "augmentation 'jpeg' is unknown: known: auto, crop, cutmix, cutout, flip, mixup, "
            "noise, none, shift, warp.",
        ),
        (
            {"augment": "warp"},
            "/augment",
            "augmentation warp is for data of kind series, not image: use one of crop, shift, "
            "flip, noise, cutout, mixup, cutmix.",
        ),
        (
            {"augment": "mypkg.aug:thing"},
            "/augment",
            "augmentation 'mypkg.aug:thing' is an import path, and this server imports no such "
            "code: add mypkg to its setting TUNER_ALLOWED_CODE, or name a part of the catalogue.",
        ),
        (
            {"augment": ["none", "flip"]},
            "/augment",
            "augment: none stands alone, without other names beside it.",
        ),
        (
            {"augment": ["flip", "flip"]},
            "/augment",
            "augment names flip more than once; remove the others.",
        ),
        (
            {"augment": ["mixup"], "loss": "multi_margin"},
            "/augment",
            "augmentation mixup mixes the labels of two examples, which loss multi_margin does "
            "not take: leave mixup out, or use cross_entropy or bce or nll or focal.",
        ),
        (
            {"augment": 3},
            "/augment",
            "augment = 3: should be a valid string, or should be a valid list.",
        ),
        (
            {"space": {"crop": 0.3}},
            "/space/crop",
            "'crop' is the strength of an augmentation this job does not have: name it, as in "
            "augment: [auto, crop].",
        ),
        (
            {"space": {"shift": 1.5}},
            "/space/shift",
            "shift = 1.5 must be a number of at least 0 and below 1.",
        ),
        ({"space": {"flip": 1}}, "/space/flip", "flip = 1 must be one of False, True."),
        (
            {"space": {"mixup": {"float": [-1, 1]}}},
            "/space/mixup",
            "mixup = -1.0 must be a number of at least 0.",
        ),
        (
            {"start": [{"cutout": 0.3}]},
            "/start/0/cutout",
            "cutout = 0.3 lies outside float in [0, 0.5], step 0.125.",
        ),
    ],
)
def test_refusals_name_field_value_and_remedy(
    overrides: dict[str, Any], pointer: str, detail: str, plan_of: PlanOf
) -> None:
    assert refusal_of(plan_of, **overrides) == [(pointer, detail)]


def test_all_faults_of_the_names_are_reported_at_once(plan_of: PlanOf) -> None:
    faults = refusal_of(plan_of, augment=["flp", "cutmix", "a:b"], loss="multi_margin")
    assert [detail.split("'")[1] if "'" in detail else "cutmix" for _, detail in faults] == [
        "flp",
        "cutmix",
        "a:b",
    ]


TABLE = DataShape(
    input_shape=(30,),
    classes=2,
    train_rows=400,
    val_rows=100,
    test_rows=0,
    labels=(0, 1),
    kind="table",
)


def test_a_table_has_no_augmentation_and_refuses_those_of_images() -> None:
    entries: Catalog = catalog()
    loss = entries.losses["cross_entropy"]
    assert augmenting(TrainingSpec.parse(make_spec()), entries, loss, TABLE).strengths == ()
    with pytest.raises(SpecInvalid) as caught:
        augmenting(TrainingSpec.parse(make_spec(augment="flip")), entries, loss, TABLE)
    assert str(caught.value) == (
        "augmentation flip is for data of kind image, not table: use augment: none."
    )
    noise = replace(entries.augmentations["noise"], kinds=("image", "table"))
    both = replace(entries, augmentations={**entries.augmentations, "noise": noise})
    with pytest.raises(SpecInvalid, match="not table: use one of noise"):
        augmenting(TrainingSpec.parse(make_spec(augment="flip")), both, loss, TABLE)
