"""The catalogue tells the truth about what torch will build."""

import itertools
import random
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from models.build import build_loss, build_model, build_optimizer
from models.catalog import ConfigRefused, DataShape
from models.domains import DOMAINS, check, refusal
from models.entries import catalog
from models.hyperparameters import Choice, Fixed, Hyperparameter, Integer, Real
from models.networks.convnet_entry import blocks, channels
from models.training.entry import batch_sizes, training_hyperparameters


def data_shape(input_shape: tuple[int, ...] = (1, 8, 8), **changes: Any) -> DataShape:
    """Images (C, H, W), series (C, L), or rows of a table (columns,); texts say so."""
    values: dict[str, Any] = {
        "input_shape": input_shape,
        "classes": 10,
        "train_rows": 1438,
        "val_rows": 359,
        "test_rows": 0,
        "labels": (0, 9),
        "kind": ("table", "series", "image")[len(input_shape) - 1],
    }
    return DataShape(**values | changes)


SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)]
#: Short: what torch counts of a recurrent network, it counts step by step.
SERIES = [(1, 16), (6, 20), (3, 131)]
#: Columns, and the codes of the last of them.
TABLES = [((4,), ()), ((30,), ()), ((7,), (3, 40)), ((2,), (5, 2))]
#: Contexts, and how many characters there are.
TEXTS = [data_shape((n,), kind="text", classes=m) for n, m in [(2, 2), (33, 65), (128, 300)]]
#: Of every kind, shapes that are unusual.
ODD = [data_shape(s) for s in [(1, 2, 2), (1, 4, 4), (3, 17, 9), (3, 224, 224)]]
ODD += [data_shape(s) for s in [(1, 1), (2, 8), (8, 8), (1, 65), (1, 129), (963, 144), (1, 17984)]]
ODD += [data_shape(s) for s in [(1, 96), (6, 100), (3, 500)]]
ODD += [data_shape((n,), kind="text", classes=m) for n in (2, 128, 1024) for m in (2, 65, 5000)]
ODD += [data_shape((1,)), data_shape((1,), categories=(2,)), data_shape((64,)), data_shape((300,))]
USUAL = [data_shape(s) for s in (*SHAPES, *SERIES)]
USUAL += [data_shape(s, categories=categories) for s, categories in TABLES]
USUAL += TEXTS


def fitting(shapes: list[DataShape]) -> list[Any]:
    """Every model with each of the shapes it is for."""
    return [
        pytest.param(
            name, shape, id=f"{name}-{shape.input_shape}-{shape.categories or shape.classes}"
        )
        for name, entry in sorted(catalog().models.items())
        for shape in shapes
        if shape.kind in entry.kinds
    ]


def examples(shape: DataShape, rows: int) -> torch.Tensor:
    """Inputs (rows, *input_shape) on the default device; codes are zero."""
    inputs = torch.empty(rows, *shape.input_shape).zero_()
    return inputs.long() if shape.kind == "text" else inputs


def extremes(parameter: Hyperparameter) -> tuple[Any, ...]:
    match parameter:
        case Choice():
            return parameter.choices
        case Fixed():
            return (parameter.value,)
        case _:
            return (parameter.low, parameter.high)


def drawn(parameter: Hyperparameter, rng: random.Random) -> Any:
    match parameter:
        case Choice() | Fixed():
            return rng.choice(extremes(parameter))
        case Integer():
            return rng.randint(parameter.low, parameter.high)
        case Real():
            return rng.uniform(parameter.low, parameter.high)


def all_hyperparameters(shape: DataShape) -> list[Hyperparameter]:
    everything = catalog()
    return [
        *(
            h
            for m in everything.models.values()
            if shape.kind in m.kinds
            for h in m.hyperparameters(shape)
        ),
        *(h for e in everything.losses.values() for h in e.hyperparameters),
        *(h for e in everything.optimizers.values() for h in e.hyperparameters),
        *(e.strength for e in everything.augmentations.values()),
        *(h for e in everything.preparers.values() for h in e.hyperparameters),
        *training_hyperparameters(shape, 15),
    ]


def test_catalogue_and_inspection_import_neither_torch_nor_numpy() -> None:
    program = (
        "import sys\n"
        "from models.entries import catalog\n"
        "from models.catalog import DataSource\n"
        "shape = catalog().data['digits'].inspect(DataSource(name='digits'), ())\n"
        "for model in catalog().models.values():\n"
        "    if shape.kind in model.kinds:\n"
        "        list(model.layers({}, shape))\n"
        "assert not {'torch', 'numpy', 'sklearn'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_entry_stands_under_its_own_name() -> None:
    kinds = catalog()
    everything = (kinds.models, kinds.data, kinds.losses, kinds.optimizers, kinds.augmentations)
    for entries in (*everything, kinds.preparers):
        assert all(name == entry.name for name, entry in entries.items())


@pytest.mark.parametrize(
    "shape", [data_shape(s) for s in ((1, 8, 8), (1, 96), (30,))] + TEXTS[:1], ids=str
)
def test_no_combination_has_two_hyperparameters_of_one_name(shape: DataShape) -> None:
    everything = catalog()
    reserved = {"model", "data", "loss", "optimizer", "epochs", "seed"}
    combinations = itertools.product(
        [model for model in everything.models.values() if shape.kind in model.kinds],
        everything.losses.values(),
        everything.optimizers.values(),
    )
    for model, loss, optimizer in combinations:
        names = [
            h.name
            for h in (
                *model.hyperparameters(shape),
                *loss.hyperparameters,
                *optimizer.hyperparameters,
                *training_hyperparameters(shape, 15),
                *(e.strength for e in everything.augmentations.values()),
                *(h for e in everything.preparers.values() for h in e.hyperparameters),
            )
        ]
        assert len(names) == len(set(names))
        assert not reserved & set(names)


@pytest.mark.parametrize("shape", USUAL, ids=str)
def test_every_default_lies_in_its_range_and_every_range_in_its_domain(shape: DataShape) -> None:
    for parameter in all_hyperparameters(shape):
        assert parameter.name in DOMAINS
        assert parameter.source
        assert all(refusal(parameter.name, value) is None for value in extremes(parameter))
        match parameter:
            case Choice():
                assert parameter.default in parameter.choices
            case Real() | Integer():
                assert parameter.low <= parameter.default <= parameter.high
                assert parameter.low < parameter.high
                assert parameter.low > 0 or not parameter.log


@pytest.mark.parametrize(("name", "shape"), fitting(USUAL + ODD))
def test_the_costliest_default_configuration_costs_at_most_ten_times_the_default(
    name: str, shape: DataShape
) -> None:
    entry = catalog().models[name]
    parameters = entry.hyperparameters(shape)
    default = {p.name: p.default for p in parameters}

    def cost(**config: Any) -> int:
        return sum(layer.flops for layer in entry.layers(default | config, shape))

    # What changes nothing by itself, such as dropout, stays as it is: the corners are fewer.
    costly = {
        p.name: extremes(p)
        for p in parameters
        if any(cost(**{p.name: value}) != cost() for value in extremes(p))
    }
    corners = itertools.product(*costly.values())
    costliest = max(cost(**dict(zip(costly, corner, strict=True))) for corner in corners)
    assert costliest <= 10 * cost()


@pytest.mark.parametrize(("name", "shape"), fitting(USUAL))
def test_layers_count_parameters_and_multiply_adds_as_torch_does(
    name: str, shape: DataShape
) -> None:
    entry, rng = catalog().models[name], random.Random(0)
    for _ in range(12):
        config = {p.name: drawn(p, rng) for p in entry.hyperparameters(shape)}
        layers = list(entry.layers(config, shape))
        with torch.device("meta"):
            module = build_model(name, config, shape).eval()
        # Step by step the meta device takes several times as long as one that computes.
        device = "cpu" if name == "gru" else "meta"
        module.to_empty(device=device)
        with torch.device(device), FlopCounterMode(display=False) as counter:
            logits = module(examples(shape, 1))
        of_text = shape.kind == "text"
        assert logits.shape == (1, shape.classes, *(shape.input_shape if of_text else ()))
        assert sum(layer.parameters for layer in layers) == sum(
            p.numel() for p in module.parameters()
        )
        assert sum(layer.flops for layer in layers) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("convnet", {"depth": 1}),
        ("convnet", {"depth": 9, "growth": 1.0, "residual": True}),
        ("convnet", {"depth": 9, "growth": 1.0, "residual": True, "pooling": "stride"}),
        ("convnet", {"depth": 3, "pooling": "none", "normalisation": "none"}),
        ("convnet", {"depth": 6, "growth": 0.5, "width": 5, "normalisation": "layer"}),
        (
            "convnet",
            {"depth": 4, "growth": 1.37, "width": 6, "normalisation": "group", "residual": True},
        ),
        ("resnet", {"depth": 5, "width": 1, "stages": 1}),
        ("resnet", {"depth": 1, "width": 3, "stages": 7, "normalisation": "none"}),
        ("resnet", {"depth": 2, "width": 5, "stages": 5, "normalisation": "layer"}),
        ("vit", {"depth": 1, "width": 1, "heads": 3, "patch": 1, "class_token": True}),
        ("vit", {"depth": 3, "width": 30, "heads": 7, "patch": 5, "mlp_ratio": 3}),
        ("vit", {"depth": 2, "width": 7, "heads": 16, "patch": 40, "class_token": True}),
    ],
)
@pytest.mark.parametrize("input_shape", [(1, 1, 1), (2, 7, 19), (3, 2, 2), (3, 150, 70)])
def test_layers_are_right_outside_the_default_space_too(
    model: str, config: dict[str, Any], input_shape: tuple[int, ...]
) -> None:
    assert_layers_are_right(model, config, data_shape(input_shape, classes=3, labels=(0, 2)))


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("transformer", {"depth": 1, "width": 1, "heads": 3, "patch": 1, "class_token": True}),
        ("transformer", {"depth": 3, "width": 30, "heads": 7, "patch": 5, "mlp_ratio": 3}),
        ("transformer", {"depth": 2, "width": 7, "heads": 16, "patch": 400}),
        ("tcn", {"depth": 1, "width": 1, "patch": 1, "kernel": 1, "normalisation": "none"}),
        ("tcn", {"depth": 12, "width": 3, "patch": 3, "kernel": 4}),
        ("tcn", {"depth": 3, "width": 8, "patch": 400, "kernel": 60, "normalisation": "group"}),
        ("gru", {"depth": 1, "width": 1, "patch": 1, "bidirectional": False}),
        ("gru", {"depth": 5, "width": 7, "patch": 400, "readout": "last", "dropout": 0.5}),
    ],
)
@pytest.mark.parametrize("input_shape", [(1, 1), (2, 7), (5, 61)])
def test_layers_of_series_are_right_outside_the_default_space_too(
    model: str, config: dict[str, Any], input_shape: tuple[int, ...]
) -> None:
    assert_layers_are_right(model, config, data_shape(input_shape, classes=3, labels=(0, 2)))


def assert_layers_are_right(model: str, config: dict[str, Any], shape: DataShape) -> None:
    layers = list(catalog().models[model].layers(config, shape))
    with torch.device("meta"):
        module = build_model(model, config, shape)
        with FlopCounterMode(display=False) as counter:
            assert module(examples(shape, 4)).shape == (4, 3)
    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in module.parameters())
    assert 4 * sum(layer.flops for layer in layers) == counter.get_total_flops()


@pytest.mark.parametrize("pooling", ["none", "max", "avg", "stride"])
def test_maps_have_the_sides_the_entry_says(pooling: str) -> None:
    chain = list(blocks((1, 28, 21), depth=7, width=4, growth=1.0, pooling=pooling))
    shape = data_shape((1, 28, 21))
    with torch.device("meta"):
        module = build_model(
            "convnet", {"depth": 7, "width": 4, "growth": 1.0, "pooling": pooling}, shape
        ).eval()
        maps = torch.empty(1, 1, 28, 21)
        for block, layer in zip(chain, module.get_submodule("blocks").children(), strict=True):
            maps = layer(maps)
            assert maps.shape == (1, block.outputs, block.height, block.width)


def test_channels_are_exact_integers_however_deep() -> None:
    assert list(itertools.islice(channels(16, 2), 96))[-1] == 16 * 2**95
    assert list(itertools.islice(channels(6, 1.5), 5)) == [6, 9, 14, 20, 30]
    assert list(itertools.islice(channels(3, 0.1), 4)) == [3, 1, 1, 1]


def test_ninety_six_doubling_convolutions_pass_the_limit_at_the_eleventh() -> None:
    config = {"depth": 96, "width": 16, "growth": 2}
    total = 0
    for layer in catalog().models["convnet"].layers(config, data_shape((1, 28, 28))):
        total += layer.parameters
        if total > 500_000_000:
            break
    assert layer.name == "conv11"
    assert list(catalog().models["convnet"].layers(config, data_shape()))[-1].flops > 10**30


@pytest.mark.parametrize(
    ("model", "config", "message"),
    [
        ("convnet", {"depth": 0}, "depth = 0 must be a whole number of at least 1"),
        ("convnet", {"depth": 2.5}, "depth = 2.5 must be a whole number"),
        ("convnet", {"width": True}, "width = True must be a whole number"),
        ("convnet", {"growth": 0.0}, "growth = 0.0 must be a number above 0"),
        ("convnet", {"pooling": "mean"}, "one of 'none', 'max', 'avg', 'stride'"),
        ("mlp", {"dropout": 1.0}, "dropout = 1.0 must be a number of at least 0 and below 1"),
        ("mlp", {"residual": 1}, "residual = 1 must be one of False, True"),
        ("resnet", {"stages": 0}, "stages = 0 must be a whole number of at least 1 and at most"),
        ("resnet", {"stochastic_depth": 1.0}, "stochastic_depth = 1.0 must be a number of at"),
        ("vit", {"patch": 0}, "patch = 0 must be a whole number of at least 1"),
        ("vit", {"heads": 1.5}, "heads = 1.5 must be a whole number of at least 1"),
        ("vit", {"mlp_ratio": 0}, "mlp_ratio = 0 must be a whole number of at least 1"),
        ("vit", {"class_token": 1}, "class_token = 1 must be one of False, True"),
        ("transformer", {"patch": 0}, "patch = 0 must be a whole number of at least 1"),
        ("transformer", {"mlp_ratio": 1.5}, "mlp_ratio = 1.5 must be a whole number of at"),
        ("transformer", {"attention_dropout": 1.0}, "attention_dropout = 1.0 must be a number of"),
        ("transformer", {"residual_dropout": -0.1}, "residual_dropout = -0.1 must be a number of"),
        ("tcn", {"kernel": 0}, "kernel = 0 must be a whole number of at least 1"),
        ("tcn", {"readout": "avg"}, "readout = 'avg' must be one of 'mean', 'max', 'last'"),
        ("tcn", {"depth": 0}, "depth = 0 must be a whole number of at least 1 and at most 1000"),
        ("gru", {"bidirectional": 1}, "bidirectional = 1 must be one of False, True"),
        ("gru", {"width": 0}, "width = 0 must be a whole number of at least 1"),
        ("gru", {"patch": 2.0}, "patch = 2.0 must be a whole number of at least 1"),
    ],
)
def test_an_impossible_value_is_refused_by_name(
    model: str, config: dict[str, Any], message: str
) -> None:
    entry = catalog().models[model]
    shape = data_shape() if "image" in entry.kinds else data_shape((2, 50))
    with pytest.raises(ConfigRefused, match=message):
        list(entry.layers(config, shape))
    with pytest.raises(ConfigRefused, match=message):
        build_model(model, config, shape)


@pytest.mark.parametrize("model", ["convnet", "resnet", "vit"])
def test_an_architecture_for_images_refuses_what_is_none(model: str) -> None:
    entry, table = catalog().models[model], data_shape((64,), kind="table")
    message = rf"model = '{model}' takes images, not examples of \(64,\)"
    for ask in (entry.hyperparameters, lambda shape: list(entry.layers({}, shape))):
        with pytest.raises(ConfigRefused, match=message):
            ask(table)
    config = {"depth": 1, "width": 8, "stages": 1, "patch": 2}
    with pytest.raises(ConfigRefused, match=message):
        build_model(model, config, table)


@pytest.mark.parametrize(
    ("model", "takes"),
    [("tcn", "series"), ("gru", "series"), ("transformer", "tables and series")],
)
def test_an_architecture_for_series_refuses_images(model: str, takes: str) -> None:
    entry, images = catalog().models[model], data_shape((1, 8, 8))
    message = rf"model = '{model}' takes {takes}, not examples of \(1, 8, 8\)"
    for ask in (entry.hyperparameters, lambda shape: list(entry.layers({}, shape))):
        with pytest.raises(ConfigRefused, match=message):
            ask(images)
    with pytest.raises(ConfigRefused, match=message):
        build_model(model, {"depth": 1, "width": 8}, images)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0, "0.1", None])
def test_a_learning_rate_is_a_number_above_zero(value: object) -> None:
    assert refusal("lr", value) is not None


def test_names_without_a_domain_pass() -> None:
    check({"anything": object()})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", sorted(catalog().optimizers))
def test_optimizers_take_the_ends_of_all_their_ranges(name: str) -> None:
    parameters = catalog().optimizers[name].hyperparameters
    module = build_model("mlp", {"width": 8}, data_shape())
    for values in itertools.product(*map(extremes, parameters)):
        config = {p.name: v for p, v in zip(parameters, values, strict=True)}
        matrices, vectors = build_optimizer(name, config, module).param_groups
        assert matrices["weight_decay"] == config["weight_decay"]
        assert vectors["weight_decay"] == 0.0
        assert matrices["lr"] == config["lr"]
        if "beta1" in config:
            assert matrices["betas"] == (config["beta1"], config["beta2"])


def test_nesterov_without_momentum_is_plain_descent() -> None:
    module = build_model("mlp", {"width": 8}, data_shape())
    optimizer = build_optimizer("sgd", {"momentum": 0.0, "nesterov": True}, module)
    assert optimizer.defaults["nesterov"] is False


def test_validation_is_judged_without_label_smoothing() -> None:
    logits, labels = torch.randn(8, 10), torch.arange(8)
    config = {"label_smoothing": 0.2}
    plain = build_loss("cross_entropy", {}, training=True)(logits, labels)
    assert build_loss("cross_entropy", config, training=False)(logits, labels) == plain
    assert build_loss("cross_entropy", config, training=True)(logits, labels) != plain


def test_two_logit_bce_is_the_mean_of_two_binary_cross_entropies() -> None:
    logits, labels = torch.tensor([[0.3, -1.0], [2.0, 0.5]]), torch.tensor([0, 1])
    right = torch.sigmoid(logits) * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]) + torch.tensor(
        [[0.0, 1.0], [1.0, 0.0]]
    )
    loss = build_loss("bce", {}, training=True)(logits, labels)
    torch.testing.assert_close(loss, -right.log().mean())


@pytest.mark.parametrize(
    ("loss", "labels", "classes", "message"),
    [
        ("cross_entropy", (0, 9), 10, None),
        ("multi_margin", (0, 9), 10, None),
        ("bce", (0, 1), 2, None),
        ("cross_entropy", (1, 26), 26, "class labels are 0 to 25: renumber them"),
        ("cross_entropy", (0, 2), 2, "run from 0 to 2 with 2 different values"),
        ("multi_margin", (3, 3), 1, "labels have one value, 3"),
        ("bce", (0, 9), 10, "labels run from 0 to 9; binary cross-entropy takes 0 and 1"),
        ("bce", (0, 0), 1, "use cross_entropy or multi_margin"),
    ],
)
def test_a_loss_names_the_labels_it_cannot_take(
    loss: str, labels: tuple[int, int], classes: int, message: str | None
) -> None:
    complaint = catalog().losses[loss].refuses(data_shape(labels=labels, classes=classes))
    assert complaint is None if message is None else message in (complaint or "")


@pytest.mark.parametrize(
    ("train_rows", "sizes"),
    [
        (50_000, (32, 64, 128, 256, 512)),
        (1438, (16, 32, 64, 128)),
        (130, (16,)),
        (20, (8,)),
        (2, (1,)),
        (1, (1,)),
    ],
)
def test_batches_fit_the_data(train_rows: int, sizes: tuple[int, ...]) -> None:
    assert batch_sizes(train_rows) == sizes


def test_a_schedule_in_three_stages_needs_three_epochs() -> None:
    def schedules(epochs: int) -> tuple[Any, ...]:
        return extremes(training_hyperparameters(data_shape(), epochs)[1])

    assert "step" not in schedules(2)
    assert "step" in schedules(3)
    assert "plateau" not in schedules(300)
