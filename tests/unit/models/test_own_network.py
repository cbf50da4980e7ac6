"""A network of one's own: filled from the data, counted without memory, built, and refused."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.build import build_model, build_network, model_arguments
from models.catalog import DataShape
from models.entries import model_entry
from models.importing import PartRefused
from models.own import network as own

CODE = '''
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, in_channels, num_classes=1000, width=32, depth=2, lr=0.5):
        super().__init__()
        self.lr = lr
        steps = [nn.Conv2d(in_channels if i == 0 else width, width, 3) for i in range(depth)]
        self.body = nn.Sequential(*steps)
        self.fc = nn.Linear(width, num_classes)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        x = x.view(len(x), *x.shape[1:])
        return self.fc(self.scale * self.body(x).mean((2, 3)))


class Wanting(nn.Module):
    def __init__(self, in_features, table, outputs, seq_len=9):
        super().__init__()
        self.given = (in_features, table, outputs, seq_len)
        self.fc = nn.LazyLinear(outputs)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Shapes(nn.Module):
    """Whatever data fills, as it was given."""

    def __init__(self, input_shape=None, channels=0, image_size=0, height=0, width=5,
                 input_size=0, categories=(), vocab_size=0, seq_len=0, n_classes=0):
        super().__init__()
        self.given = dict(locals())


class Sized(nn.Module):
    def __init__(self, height, width, channels):
        super().__init__()
        self.given = (height, width, channels)


class Early(nn.Module):
    """Cannot be built without numbers, and keeps one that is in no state_dict."""

    def __init__(self, in_features: int, depth: int = 2, rate: float = 0.1):
        super().__init__()
        self.rates = [x.item() for x in torch.linspace(0, rate, depth)]
        self.register_buffer("table", torch.arange(in_features) * 1.0, persistent=False)
        self.fc = nn.Linear(in_features, 3)

    def forward(self, x):
        if x.sum().item() > 1e9:
            return x
        return self.fc(x.flatten(1) + self.table)


class Number(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.fc = nn.Linear(in_features, 1)

    def forward(self, x):
        return self.fc(x).squeeze(1)


class Several(Number):
    def forward(self, x):
        return self.fc(x), x


class Blind(Number):
    def forward(self, x):
        return self.fc(x).mean(0, keepdim=True)


class Raises(Number):
    def forward(self, x):
        raise KeyError("nothing here")


class NotBuilt(Number):
    def __init__(self, in_features, heads=3):
        raise ValueError(f"heads = {heads} does not divide {in_features}")


def function(width=3):
    return nn.Linear(width, 2)
'''

IMAGES = DataShape(
    input_shape=(3, 8, 8), classes=3, train_rows=100, val_rows=20, test_rows=0, labels=(0, 2)
)
TABLE = DataShape(
    input_shape=(5,), classes=0, train_rows=100, val_rows=20, test_rows=0, labels=(0, 0),
    kind="table", categories=(4, 3),
)  # fmt: skip
SERIES = DataShape(
    input_shape=(2, 30), classes=4, train_rows=100, val_rows=20, test_rows=0, labels=(0, 3),
    kind="series",
)  # fmt: skip
TEXT = DataShape(
    input_shape=(16,), classes=40, train_rows=100, val_rows=20, test_rows=0, labels=(0, 39),
    kind="text",
)  # fmt: skip


@pytest.fixture(autouse=True)
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ownnets.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ownnets", raising=False)


def filled(name: str, shape: DataShape) -> dict[str, object]:
    module = own.build(f"ownnets:{name}", {}, shape)
    given = module.given
    assert isinstance(given, dict)
    return {key: given[key] for key in given if key not in ("self", "__class__")}


def test_data_fill_arguments_by_name_and_a_width_with_a_default_is_ones_own() -> None:
    of_images = filled("Shapes", IMAGES)
    assert of_images == {
        "input_shape": (3, 8, 8), "channels": 0, "image_size": 8, "height": 0, "width": 5,
        "input_size": 192, "categories": (), "vocab_size": 0, "seq_len": 0, "n_classes": 3,
    }  # fmt: skip
    of_table = filled("Shapes", TABLE)
    assert (of_table["input_size"], of_table["categories"], of_table["n_classes"]) == (5, (4, 3), 1)
    of_series = filled("Shapes", SERIES)
    assert (of_series["input_size"], of_series["seq_len"]) == (2, 30)
    of_text = filled("Shapes", TEXT)
    assert (of_text["vocab_size"], of_text["seq_len"], of_text["input_size"]) == (40, 16, 0)
    assert own.build("ownnets:Sized", {}, IMAGES).given == (8, 8, 3)


def test_layers_count_what_is_built_without_building_it() -> None:
    entry = model_entry("ownnets:Net")
    layers = {layer.name: layer for layer in entry.layers({"width": 8, "depth": 1}, IMAGES)}
    assert {name: layer.parameters for name, layer in layers.items()} == {
        "own": 1,
        "body": 3 * 8 * 9 + 8,
        "fc": 8 * 3 + 3,
    }
    assert layers["body"].activations == 8 * 6 * 6
    huge = sum(layer.parameters for layer in entry.layers({"width": 30_000, "depth": 2}, IMAGES))
    assert huge > 8_000_000_000  # 32 GB, had they been there
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    list(model_entry("ownnets:Early").layers({}, _table(4)))
    assert torch.equal(before, torch.random.get_rng_state())


def _table(columns: int) -> DataShape:
    return DataShape(
        input_shape=(columns,), classes=3, train_rows=100, val_rows=20, test_rows=0, labels=(0, 2),
        kind="table",
    )  # fmt: skip


def test_what_the_meta_device_cannot_do_is_counted_on_the_cpu() -> None:
    layers = {layer.name: layer for layer in own.layers("ownnets:Early", {}, _table(4))}
    assert (layers["fc"].parameters, layers["fc"].activations) == (15, 3)


def test_a_rebuilt_network_has_what_its_state_dict_lacks() -> None:
    shape = _table(4)
    network = build_network("ownnets:Early", {}, shape, {}, empty=True)
    assert network.table.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_it_is_built_with_what_the_configuration_and_the_data_say() -> None:
    network = build_model("ownnets:Net", {"width": 4, "model.lr": 0.25, "lr": 1e-3}, IMAGES)
    assert network.lr == 0.25
    assert network.fc.weight.shape == (3, 4)
    # `view` wants rows in order; those of images come channels last.
    rows = torch.zeros(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    assert network(rows).shape == (2, 3)
    arguments = model_arguments("ownnets:Net", {"width": 4, "lr": 1e-3}, IMAGES)
    assert arguments == {"width": 4, "depth": 2, "model.lr": 0.5}


def test_a_required_argument_may_come_from_the_space_alone() -> None:
    entry = model_entry("ownnets:Wanting")
    assert entry.others(IMAGES) == {
        "in_features": False,
        "table": True,
        "outputs": False,
        "seq_len": False,
    }
    with pytest.raises(PartRefused, match="ownnets:Wanting wants table, which image data does not"):
        own.build("ownnets:Wanting", {}, IMAGES)
    module = own.build("ownnets:Wanting", {"table": 7}, IMAGES)
    assert module.given == (192, 7, 3, 9)
    assert module.fc.weight.shape == (3, 192)  # lazy modules know their sizes before they train


def test_one_number_an_example_may_be_answered_without_a_dimension() -> None:
    assert own.build("ownnets:Number", {}, TABLE)(torch.zeros(2, 5)).shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("function", "ownnets:function is no class; name a class of networks"),
        ("nn", "ownnets:nn is no class"),
        ("torch", "ownnets:torch is no class"),
        ("Nett", "module ownnets has no 'Nett'; did you mean 'Net'?"),
        ("Several", "ownnets:Several answers a tuple; a network answers one tensor."),
        ("Number", r"ownnets:Number answers \(2,\) for a batch of 2; the loss takes \(batch, 3\)"),
        ("Blind", r"ownnets:Blind answers \(1, 1\) for a batch of 2; the loss takes \(batch, 3\)"),
        ("Raises", r"raises in its forward for examples of \(4,\): KeyError: 'nothing here'"),
        ("NotBuilt", "cannot be built with in_features = 4: ValueError: heads = 3 does not divide"),
    ],
)
def test_what_is_no_network_of_this_data_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(PartRefused, match=complaint):
        own.layers(f"ownnets:{name}", {}, _table(4))


def test_an_answer_for_fewer_examples_is_refused() -> None:
    with pytest.raises(PartRefused, match=r"answers \(1, 1\) for 2 examples"):
        own.layers("ownnets:Blind", {}, TABLE)


def test_the_entry_imports_nothing_before_it_is_asked() -> None:
    entry = model_entry("nowhere:Net")
    assert (entry.clip_norm, entry.kinds) == (0.0, ("image", "table", "series", "text"))
    asked: tuple[Callable[[], object], ...] = (
        lambda: entry.hyperparameters(IMAGES),
        lambda: entry.others(IMAGES),
        lambda: entry.layers({}, IMAGES),
    )
    for ask in asked:
        with pytest.raises(PartRefused, match="nowhere:Net: No module named 'nowhere'; install it"):
            ask()
