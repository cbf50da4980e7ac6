"""A spec is resolved in full or refused with the field, the value and a remedy."""

import gzip
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from models.entries import catalog
from tuner.errors import SpecInvalid
from tuner.planning.judging import METRICS
from tuner.planning.resolve import Plan, resolve
from tuner.spec import TrainingSpec
from tuner.states import Direction

ESSENTIALS = {
    "model": "convnet",
    "data": "digits",
    "loss": "cross_entropy",
    "optimizer": "adamw",
}


def plan_of(*, roots: tuple[str, ...] = (), **overrides: Any) -> Plan:
    return resolve(TrainingSpec.parse({**ESSENTIALS, **overrides}), roots)


def refusal_of(*, roots: tuple[str, ...] = (), **overrides: Any) -> list[tuple[str, str]]:
    with pytest.raises(SpecInvalid) as caught:
        plan_of(roots=roots, **overrides)
    return [(fault.pointer, fault.detail) for fault in caught.value.faults]


def written(plan: Plan, name: str) -> dict[str, Any]:
    (found,) = (p for p in plan.to_json()["space"] if p["name"] == name)
    return {key: value for key, value in found.items() if key not in ("name", "source")}


def test_the_essentials_alone_give_the_whole_space() -> None:
    plan = plan_of(search={"seed": 7})
    assert {"depth", "width", "growth"} < set(plan.space.names)
    assert {"batch_size", "schedule", "lr", "weight_decay", "label_smoothing"} < set(
        plan.space.names
    )
    assert "optimizer" not in plan.space.names
    assert plan.metric == "val_accuracy"
    assert plan.direction is Direction.MAXIMIZE
    assert plan.seed == 7
    assert plan.notes == ()
    assert plan.data_shape.train_rows + plan.data_shape.val_rows == 1797


@pytest.mark.parametrize("kind", ["image", "table"])
def test_every_combination_of_the_catalogue_resolves(kind: str, tmp_path: Path) -> None:
    entries = catalog()
    data = "breast_cancer" if kind == "table" else {"idx": str(binary_idx(tmp_path))}
    for model in (name for name, entry in entries.models.items() if kind in entry.kinds):
        for loss in (name for name, entry in entries.losses.items() if entry.takes == "classes"):
            for optimizer in entries.optimizers:
                combination = {"model": model, "loss": loss, "optimizer": optimizer, "data": data}
                plan = plan_of(roots=(str(tmp_path),), **combination)
                assert plan.default_config == plan.space.defaults()
                assert plan.feasible(plan.default_config)
                counts = plan.parameters
                assert counts.smallest <= counts.default <= counts.largest


def binary_idx(folder: Path, labels: tuple[int, ...] = (0, 1)) -> Path:
    """A folder of sixty tiny images with the given labels in turn."""
    rows = 60
    images = struct.pack(">HBBIII", 0, 8, 3, rows, 2, 2) + bytes(rows * 4)
    values = bytes(labels[i % len(labels)] for i in range(rows))
    with gzip.open(folder / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(images)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(struct.pack(">HBBI", 0, 8, 1, rows) + values)
    return folder


def test_the_plan_survives_json() -> None:
    plan = plan_of(
        space={"optimizer": {"choice": ["adamw", "sgd"]}, "depth": {"int": [1, 60]}, "growth": 2},
        resources={"memory_gb": 0.5},
        metric="val_loss",
    )
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.data_shape == plan.data_shape


def test_a_seed_is_drawn_where_none_is_given() -> None:
    seeds = {plan_of().seed for _ in range(5)}
    assert len(seeds) > 1
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_resolving_imports_neither_torch_nor_numpy_nor_optuna() -> None:
    program = (
        "import sys\n"
        "from tuner.planning.resolve import resolve\n"
        "from tuner.spec import TrainingSpec\n"
        f"resolve(TrainingSpec.parse({ESSENTIALS!r}), ())\n"
        "print([m for m in ('torch', 'numpy', 'optuna', 'sqlalchemy') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("overrides", "pointer", "detail"),
    [
        ({"model": "convnt"}, "/model", "model 'convnt' is unknown: did you mean 'convnet'?"),
        (
            {"model": "vgg"},
            "/model",
            "model 'vgg' is unknown: known: char_lm, convnet, gru, mlp, resnet, tcn, transformer, "
            "vit.",
        ),
        (
            {"model": "nets:Mine"},
            "/model",
            "model 'nets:Mine' is an import path, and this server imports no such code: add nets "
            "to its setting TUNER_ALLOWED_CODE, or name a part of the catalogue.",
        ),
        (
            {"data": "nets:make"},
            "/data",
            "data 'nets:make' is an import path, and this server imports no such code: add nets "
            "to its setting TUNER_ALLOWED_CODE, or name a part of the catalogue.",
        ),
        (
            {"data": {"python": "make", "n": 3}},
            "/data",
            "data 'make' is no import path; write package.module:Name.",
        ),
        ({"data": "digit"}, "/data", "data 'digit' is unknown: did you mean 'digits'?"),
        ({"data": {"idy": "x"}}, "/data", "data 'idy' is unknown: did you mean 'idx'?"),
        ({"loss": "cross"}, "/loss", "loss 'cross' is unknown: known: "),
        ({"optimizer": "adamv"}, "/optimizer", "optimizer 'adamv' is unknown: did you mean 'adam"),
        ({"metric": "val_acc"}, "/metric", "metric 'val_acc' is unknown: did you mean 'val_accur"),
        (
            {"budget": {"target": 99}},
            "/budget/target",
            "budget.target = 99: val_accuracy lies between 0 and 1; 99 % is 0.99.",
        ),
        (
            {"loss": "mse"},
            "/loss",
            "loss mse: the target has 10 classes; mse takes numbers: use cross_entropy, nll, "
            "focal or multi_margin.",
        ),
        ({"loss": "bce"}, "/loss", "loss bce: labels run from 0 to 9; binary cross-entropy takes"),
        ({"data": "idx"}, "/data", "data 'idx': idx needs a folder: write data: {idx: FOLDER}."),
        ({"data": {"idx": "../x"}}, "/data", "lies outside the data roots"),
        ({"data": {"idx": "gone"}}, "/data", "There is no folder 'gone' below the data roots"),
        ({"data": {"idx": "a\0b"}}, "/data", "data {'idx': 'a\\x00b'}: "),
        (
            {"space": {"lrr": 1}},
            "/space/lrr",
            "'lrr' is no hyperparameter of this combination: did you mean 'lr'?",
        ),
        (
            {"space": {"momentum": 0.9}},
            "/space/momentum",
            "'momentum' is no hyperparameter of this combination: it belongs to sgd and rmsprop "
            "and muon.",
        ),
        (
            {"space": {"loss": {"choice": ["bce", "cross_entropy"]}}},
            "/space/loss",
            "loss is not searched: a job has one loss.",
        ),
        (
            {"space": {"optimizer": {"choice": ["adamw", "sdg"]}}},
            "/space/optimizer",
            "optimizer 'sdg' is unknown: did you mean 'sgd'?",
        ),
        (
            {"space": {"optimizer": {"choice": ["adam", "sgd"]}}},
            "/space/optimizer",
            "The job's optimizer is adamw, but space.optimizer has adam, sgd; add adamw to it, or "
            "name one of them as the job's optimizer.",
        ),
        (
            {"space": {"optimizer": {"int": [1, 2]}}},
            "/space/optimizer",
            "optimizer must always be one of some names; write {choice: [adamw, sgd]}.",
        ),
        ({"space": {"lr": {"float": [1, 0]}}}, "/space/lr/float", "lr.float = [1, 0] is inverted"),
        (
            {"space": {"lr": {"float": [0, 1], "log": True}}},
            "/space/lr/log",
            "lr has log: true and a lower bound of 0; log needs a bound above 0.",
        ),
        (
            {"space": {"lr": {"float": [0, 1], "when": {"optimiser": "sgd"}}}},
            "/space/lr",
            "lr = 0.0 must be a number above 0.",
        ),
        (
            {"space": {"lr": {"float": [0.1, 1], "when": {"scedule": "step"}}}},
            "/space/lr/when/scedule",
            "lr depends on 'scedule', which is no parameter of this job: did you mean 'schedule'?",
        ),
        (
            {"space": {"lr": {"float": [0.1, 1], "when": {"optimizer": "sgd"}}}},
            "/space/lr/when/optimizer",
            "lr depends on optimizer is 'sgd', which never holds: it is fixed at 'adamw'.",
        ),
        (
            {"space": {"schedule": "one_cycle", "warmup": 0.1}},
            "/space/warmup/when/schedule",
            "warmup depends on schedule is 'constant' or 'cosine' or 'linear' or 'step' or "
            "'plateau', which never holds: it is fixed at 'one_cycle'.",
        ),
        (
            {"space": {"depth": 0}},
            "/space/depth",
            "depth = 0 must be a whole number of at least 1 and at most 1000.",
        ),
        (
            {"space": {"depth": {"float": [1, 4]}}},
            "/space/depth",
            "depth = 1.0 must be a whole number of at least 1 and at most 1000.",
        ),
        ({"space": {"width": -3}}, "/space/width", "width = -3 must be a whole number of at leas"),
        (
            {"space": {"dropout": {"float": [0, 1.5]}}},
            "/space/dropout",
            "dropout = 1.5 must be a number of at least 0 and below 1.",
        ),
        ({"space": {"dropout": 1.5}}, "/space/dropout", "dropout = 1.5 must be a number of at lea"),
        ({"space": {"beta1": 1}}, "/space/beta1", "beta1 = 1 must be a number of at least 0 and"),
        ({"space": {"lr": 0}}, "/space/lr", "lr = 0 must be a number above 0."),
        (
            {"space": {"activation": {"choice": ["relu", "swish"]}}},
            "/space/activation",
            "activation = 'swish' must be one of 'relu', 'gelu', 'silu'.",
        ),
        ({"space": {"residual": 1}}, "/space/residual", "residual = 1 must be one of False, True."),
        (
            {"space": {"batch_size": {"choice": [64, 2048]}}},
            "/space/batch_size",
            "batch_size = 2048 exceeds the 1,438 rows of training data.",
        ),
        (
            {"start": [{"lr": 0.01}, {"lr": 7, "dept": 2}]},
            "/start/1/lr",
            "lr = 7 lies outside float in [0.0001, 0.1] (log).",
        ),
    ],
)
def test_refusals_name_field_value_and_remedy(
    overrides: dict[str, Any], pointer: str, detail: str, tmp_path: Path
) -> None:
    faults = dict(refusal_of(roots=(str(tmp_path),), **overrides))
    assert pointer in faults
    assert detail in faults[pointer]


def test_all_unknown_names_are_reported_at_once() -> None:
    faults = refusal_of(model="x", data="x", loss="x", optimizer="x")
    assert [pointer for pointer, _ in faults] == ["/model", "/data", "/loss", "/optimizer"]


def test_all_faults_of_the_space_are_reported_at_once() -> None:
    faults = refusal_of(space={"dept": 1, "lr": "high", "width": 0})
    assert [pointer for pointer, _ in faults] == ["/space/dept", "/space/lr", "/space/width"]


def test_an_odd_direction_is_obeyed_and_noted() -> None:
    plan = plan_of(direction="minimize")
    assert plan.direction is Direction.MINIMIZE
    assert plan.notes == (
        "The spec wants to minimize val_accuracy; usually one would maximize it.",
    )


def test_wishes_replace_the_catalogue_name_by_name() -> None:
    plan = plan_of(space={"lr": {"float": [1e-4, 1e-2], "log": True}, "width": 16})
    assert written(plan, "lr") == {"float": [1e-4, 1e-2], "default": 3e-3, "log": True}
    assert written(plan, "width") == {"fixed": 16}
    untouched = plan_of()
    assert plan.space["beta1"] == untouched.space["beta1"]
    assert plan.default_config["width"] == 16


def test_a_plateau_is_there_by_name_but_not_offered() -> None:
    assert "plateau" not in written(plan_of(), "schedule")["choice"]
    plan = plan_of(space={"schedule": "plateau"})
    assert plan.default_config["schedule"] == "plateau"
    assert "warmup" in plan.space.names


def test_parameters_that_depended_on_a_value_fixed_otherwise_are_gone() -> None:
    assert "warmup" not in plan_of(space={"schedule": "one_cycle"}).space.names


def test_of_several_optimizers_the_parameters_not_common_to_all_are_conditional() -> None:
    plan = plan_of(space={"optimizer": {"choice": ["sgd", "adamw"]}})
    assert written(plan, "optimizer") == {"choice": ["sgd", "adamw"], "default": "adamw"}
    assert written(plan, "momentum")["when"] == {"optimizer": ["sgd"]}
    assert written(plan, "beta1")["when"] == {"optimizer": ["adamw"]}
    lr = written(plan, "lr")
    # The union of both ranges, and the default of the job's own optimizer.
    assert lr == {"float": [1e-4, 1.0], "default": 3e-3, "log": True}
    assert "momentum" not in plan.default_config
    assert plan.space.complete({"optimizer": "sgd"}).keys() >= {"momentum", "nesterov", "lr"}


def test_the_api_pages_example_of_a_condition_is_taken() -> None:
    plan = plan_of(
        space={
            "optimizer": {"choice": ["sgd", "adamw"]},
            "momentum": {"float": [0.0, 0.99], "when": {"optimizer": "sgd"}},
        }
    )
    assert written(plan, "momentum")["when"] == {"optimizer": ["sgd"]}


def test_a_condition_may_name_the_jobs_only_optimizer() -> None:
    plan = plan_of(space={"beta1": {"float": [0.8, 0.9], "when": {"optimizer": "adamw"}}})
    assert plan.default_config["optimizer"] == "adamw"
    assert "beta1" in plan.default_config


def test_a_space_with_nothing_to_search_is_noted() -> None:
    fixed = dict(plan_of(space={"schedule": "one_cycle"}).default_config)
    assert plan_of(space=fixed).notes == (
        "Nothing is left to search: every trial has the same configuration.",
    )


def test_the_articles_network_is_refused_at_the_layer_where_it_fails() -> None:
    assert refusal_of(space={"depth": 96, "width": 16, "growth": 2}) == [
        (
            "/space",
            "The smallest convnet of this space (depth = 96, width = 16, growth = 2) passes the "
            "limit of 500,000,000 parameters at layer 11 of 96 and would end at "
            "16·2^95 ≈ 6·10^29 channels. Lower depth, width or growth (with all else as it is, "
            "depth can be at most 10), or raise limits.max_parameters.",
        )
    ]


def test_a_model_too_large_at_any_depth_is_refused_too() -> None:
    ((_, detail),) = refusal_of(limits={"max_parameters": 30})
    assert detail == (
        "The smallest convnet of this space (depth = 2, width = 4, growth = 1) passes the limit "
        "of 30 parameters at layer 1 of 2. Lower depth, width or growth, or raise "
        "limits.max_parameters."
    )


def test_the_impossible_part_of_a_range_is_left_out_and_noted() -> None:
    plan = plan_of(space={"depth": {"int": [1, 96]}, "width": 16, "growth": 2})
    assert written(plan, "depth")["int"] == [1, 10]
    assert plan.notes[0] == (
        "depth: values above 10 left out, because no convnet with them stays within 500,000,000 "
        "parameters; searched: 1 to 10."
    )
    deepest = {**plan.default_config, "depth": 10}
    assert plan.feasible({**deepest, "residual": False})
    assert not plan.feasible({**deepest, "depth": 11})


def test_the_edge_of_a_real_range_is_found() -> None:
    plan = plan_of(space={"depth": 20, "width": 16, "growth": {"float": [1.0, 4.0]}})
    low, high = written(plan, "growth")["float"]
    cheapest = {"normalisation": "none", "pooling": "max", "residual": False}
    assert low == 1.0
    assert plan.feasible({**plan.default_config, **cheapest, "growth": high})
    assert not plan.feasible({**plan.default_config, **cheapest, "growth": high * 1.001})


def test_impossible_choices_are_left_out_and_noted() -> None:
    plan = plan_of(space={"width": {"choice": [8, 100_000]}, "depth": 2, "growth": 1})
    assert written(plan, "width") == {"choice": [8], "default": 8}
    assert "width: 100,000 left out, because no convnet with them" in plan.notes[0]


def test_impossible_combinations_stay_and_are_told_apart() -> None:
    plan = plan_of(space={"depth": {"int": [1, 96]}})
    assert written(plan, "depth")["int"] == [1, 96]
    assert plan.notes == (
        "Some combinations do not stay within 500,000,000 parameters; the nearest ones towards "
        "the default configuration are tried in their place.",
    )
    assert not plan.feasible({**plan.default_config, "depth": 96, "growth": 2.0})
    assert plan.feasible({**plan.default_config, "depth": 96, "growth": 1.0})
    assert plan.parameters.default < plan.parameters.largest <= 500_000_000


def test_a_default_that_cannot_be_is_moved_and_noted() -> None:
    plan = plan_of(
        space={"depth": {"int": [1, 40], "default": 40}, "growth": {"float": [1, 2], "default": 2}}
    )
    assert plan.feasible(plan.default_config)
    assert plan.default_config == plan.space.defaults()
    (note,) = (n for n in plan.notes if "default did not" in n)
    assert note.startswith(
        "The default did not stay within 500,000,000 parameters and was moved to depth = "
    )


def test_a_default_beyond_the_jobs_memory_is_refused() -> None:
    ((pointer, detail),) = refusal_of(resources={"memory_gb": 0.0005})
    assert pointer == "/resources/memory_gb"
    assert detail.startswith("The default convnet of this space (depth = ")
    assert "for weights, gradients, optimizer state and the activations of a batch of 64" in detail
    assert "resources.memory_gb allows 0.51 MB. Raise it, or lower batch_size, depth" in detail


def test_configurations_beyond_the_jobs_memory_are_not_feasible() -> None:
    free, bounded = plan_of(), plan_of(resources={"memory_gb": 0.005})
    assert free.memory_mb > 5.12 >= bounded.memory_mb
    assert bounded.feasible(bounded.default_config)
    dear = {"width": 20, "batch_size": 128, "residual": True, "growth": 2.0, "depth": 4}
    assert free.feasible({**free.default_config, **dear})
    assert not bounded.feasible({**bounded.default_config, **dear})


def test_an_impossible_start_point_is_refused() -> None:
    space = {"depth": {"int": [1, 96]}, "growth": 2}
    ((pointer, detail),) = refusal_of(
        space={**space, "width": {"int": [1, 16]}}, start=[{"depth": 10, "width": 1}, {"depth": 13}]
    )
    assert pointer == "/start/1"
    assert detail.startswith("The convnet of this start point (depth = 13, width = ")
    assert "passes the limit of 500,000,000 parameters at layer 1" in detail


def test_the_memory_estimate_counts_what_training_keeps() -> None:
    plan = plan_of(model="mlp", optimizer="sgd")
    config = {**plan.default_config, "depth": 1, "width": 32, "normalisation": "none"}
    weights = (64 + 1) * 32 + (32 + 1) * 10
    activations = 64 * (2 * 32 + 10)
    assert plan.capacity.size(config).parameters == weights
    expected_mb = (3 * weights + activations) * 4 / 2**20
    assert plan.capacity.memory_mb({**config, "batch_size": 64}) == expected_mb


NAMES = [
    *("depth", "width", "growth", "dropout", "lr", "batch_size", "schedule", "warmup", "beta1"),
    *("optimizer", "momentum", "residual", "activation", "normalisation", "loss", "x"),
    *("shift", "flip", "mixup"),
]
augmentations = st.sampled_from(["auto", "none", "x:y", *catalog().augmentations])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.sampled_from([0, 1, 2, 1e-300, 0.1, 1.5, 1e308, 10**99, -1e308, 2**64, 10**400])
    | st.sampled_from(["sgd", "adamw", "rmsprop", "cosine", "step", "relu", "none", "", "ü\0"])
)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(), scalars, max_size=1)
conditions = st.dictionaries(st.sampled_from(NAMES), values, max_size=2)
wishes = values | st.fixed_dictionaries(
    {},
    optional={
        "float": st.lists(scalars, min_size=2, max_size=2),
        "int": st.lists(scalars, min_size=2, max_size=2),
        "choice": st.lists(scalars, max_size=4),
        "fixed": scalars,
        "log": scalars,
        "step": scalars,
        "default": scalars,
        "when": conditions,
    },
)
documents = st.fixed_dictionaries(
    {
        "model": st.sampled_from([*catalog().models]) | st.text(max_size=3),
        "data": st.sampled_from(["digits"]) | st.sampled_from([{"idx": "x"}, "fashion_mnist"]),
        "loss": st.sampled_from([*catalog().losses]),
        "optimizer": st.sampled_from([*catalog().optimizers]),
    },
    optional={
        "space": st.dictionaries(st.sampled_from(NAMES), wishes, max_size=4),
        "start": st.lists(st.dictionaries(st.sampled_from(NAMES), scalars), max_size=2) | values,
        "augment": augmentations | st.lists(augmentations, max_size=3) | values,
        "metric": st.sampled_from([*METRICS, "acc"]),
        "budget": st.dictionaries(st.sampled_from(["epochs", "target", "hours"]), scalars),
        "resources": st.dictionaries(st.just("memory_gb"), st.floats(1e-4, 1)),
        "limits": st.dictionaries(st.just("max_parameters"), st.integers(1, 10**9)),
        "labels": values,
        "seed": values,
    },
)


def spans(low: int, high: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=2, max_size=2).map(sorted)


when = {"when": st.sampled_from([{"schedule": "cosine"}, {"residual": [True, False]}])}
sizes = st.fixed_dictionaries(
    {"int": spans(1, 1000)}, optional={"log": st.booleans(), "default": st.just(3), **when}
)
plausible = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["convnet", "resnet", "vit", "mlp"]),
        "data": st.just("digits"),
        "loss": st.sampled_from(["cross_entropy", "multi_margin"]),
        "optimizer": st.sampled_from(["sgd", "adamw"]),
    },
    optional={
        "space": st.fixed_dictionaries(
            {},
            optional={
                "depth": sizes | st.integers(1, 96),
                "width": sizes | st.just({"choice": [8, 64, 10**6]}) | st.integers(1, 10**4),
                "optimizer": st.just({"choice": ["sgd", "rmsprop", "adamw"]}),
                "dropout": st.just({"float": [0, 0.9], "step": 0.3}),
                "batch_size": st.just({"int": [8, 400], "step": 8}),
                "lr": st.fixed_dictionaries({"float": spans(1, 9)}, optional=when),
            },
        ),
        "augment": st.lists(st.sampled_from([*catalog().augmentations]), unique=True),
        "resources": st.fixed_dictionaries({"memory_gb": st.floats(1e-3, 1)}),
        "limits": st.fixed_dictionaries({"max_parameters": st.integers(10**3, 10**9)}),
    },
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(documents | plausible)
def test_any_document_is_resolved_or_refused(document: dict[str, Any]) -> None:
    try:
        plan = resolve(TrainingSpec.parse(document), ())
    except SpecInvalid:
        event("refused")
        return
    event("resolved, with notes" if plan.notes else "resolved")
    assert plan.feasible(plan.default_config)
    assert plan.default_config == plan.space.defaults()
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_batch_in_parts_needs_the_memory_of_one_and_an_average_that_of_weights() -> None:
    plan = plan_of(model="mlp", optimizer="sgd")
    config = {**plan.default_config, "batch_size": 30}
    size = plan.capacity.size(config)

    def numbers(**changes: Any) -> float:
        return plan.capacity.memory_mb({**config, **changes}) * 2**20 / 4

    whole = 3 * size.parameters + 30 * size.activations
    assert numbers() == whole
    assert numbers(accumulation=4) == 3 * size.parameters + 8 * size.activations
    assert numbers(averaging="ema") == whole + size.parameters


def test_a_default_in_parts_beyond_the_jobs_memory_is_refused_with_their_number() -> None:
    ((_, detail),) = refusal_of(space={"accumulation": 4}, resources={"memory_gb": 0.0002})
    assert "the activations of a batch of 64 in 4 parts; resources.memory_gb allows" in detail


@pytest.mark.parametrize(
    ("space", "detail"),
    [
        ({"accumulation": 0}, "accumulation = 0 must be a whole number of at least 1."),
        ({"averaging": "sma"}, "averaging = 'sma' must be one of 'none', 'ema', 'swa'."),
        ({"swa_start": 1}, "swa_start = 1 must be a number of at least 0 and below 1."),
        ({"early_stopping": -1}, "early_stopping = -1 must be a whole number of at least 0."),
        (
            {"precision": "int8"},
            "precision = 'int8' must be one of 'auto', 'float32', 'bfloat16', 'float16'.",
        ),
        (
            {"ema_decay": 0.99},
            "ema_decay depends on averaging is 'ema', which never holds: it is fixed at 'none'.",
        ),
    ],
)
def test_impossible_wishes_for_training_are_refused(space: dict[str, Any], detail: str) -> None:
    ((_, found),) = refusal_of(space=space)
    assert found == detail


def test_an_averages_decay_is_there_where_there_may_be_one() -> None:
    plan = plan_of(space={"averaging": {"choice": ["none", "ema"]}})
    assert "averaging" in {parameter.name for parameter in plan.space.searched}
    assert "ema_decay" not in plan.default_config
    assert plan.space.complete({**plan.default_config, "averaging": "ema"})["ema_decay"] == 0.999
    assert plan_of(model="vit").default_config["clip_norm"] == 1.0
    assert plan_of(model="convnet").default_config["clip_norm"] == 0.0
