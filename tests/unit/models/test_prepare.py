"""What stands in front of a network: learns once, from training rows, and travels with it."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.build import build_network
from models.catalog import DataShape, PreparerEntry
from models.data.loading import Dataset
from models.data.preparation import ImagePreparation, RowPreparation
from models.entries import catalog
from models.exported.export import describe_model, load_model, rebuild, save_model
from models.exported.predictor import export_program
from models.hyperparameters import Choice, Fixed
from models.importing import PartRefused
from models.prepare.chain import MOST_ROWS, prepare_of, rows_to_learn_from
from models.prepare.learning import build_preparer, learned
from models.prepare.shapes import numbers_of, seen_shape
from models.recipe import Recipe
from models.training.committee import Committee
from models.training.probe import probe
from models.training.train import Training, begin, train

MakeRecipe = Callable[..., Recipe]

#: Examples of each kind, as the data prepares them: what is behind the catalogue's default.
EXAMPLES = {"image": (3, 6, 5), "table": (4,), "series": (3, 20)}

CODE = '''
import torch
from torch import nn


class Scale(nn.Module):
    """Divides by the largest training value; ten lines."""

    def __init__(self, *, input_shape, power: float = 1.0):
        super().__init__()
        self.power = power
        self.register_buffer("largest", torch.ones(()))

    def fit(self, inputs):
        self.largest.copy_(inputs.abs().max() ** self.power)

    def forward(self, inputs):
        return inputs / self.largest


class Centre(nn.Module):
    """Standardises each column."""

    def __init__(self, *, input_shape):
        super().__init__()
        self.register_buffer("mean", torch.zeros(input_shape))
        self.register_buffer("spread", torch.ones(input_shape))

    def fit(self, inputs):
        self.mean.copy_(inputs.mean(0))
        self.spread.copy_(inputs.std(0))

    def forward(self, inputs):
        return (inputs - self.mean) / self.spread


class Shrinks(Scale):
    """As many columns as it found useful."""

    useful = 7

    def fit(self, inputs):
        self.useful = 3

    def forward(self, inputs):
        return inputs[..., : self.useful]


class Halve(nn.Module):
    """Leaves out every other row of pixels."""

    def forward(self, inputs):
        return inputs[:, :, ::2]


class Forgets(Scale):
    def fit(self, inputs):
        self.kept = inputs.abs().max()

    def forward(self, inputs):
        return inputs / getattr(self, "kept", 1.0)


class Grows(Scale):
    def fit(self, inputs):
        self.register_buffer("mean", inputs.mean(0))


class OfBatch(nn.Module):
    def forward(self, inputs):
        return inputs - inputs.mean(0)


class Nothing(nn.Module):
    def forward(self, inputs):
        return inputs * float("nan")


class Twice(nn.Module):
    def forward(self, inputs):
        return torch.cat([inputs, inputs])


class Flat(nn.Module):
    def forward(self, inputs):
        return inputs.flatten(1)


class Double(nn.Module):
    def forward(self, inputs):
        return inputs.double()


class Pair(nn.Module):
    def forward(self, inputs):
        return inputs, inputs


class InPlace(nn.Module):
    def forward(self, inputs):
        return inputs.add_(1)


class Raises(nn.Module):
    def fit(self, inputs):
        raise ValueError("too few rows")


class Strict(nn.Module):
    def __init__(self, *, gain=1):
        raise ValueError("gain is at most 1")


def function(inputs):
    return inputs
'''


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package ``ours`` with good and bad preparers."""
    (tmp_path / "ours.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("ours", None)


def shape_of(kind: str, **changes: Any) -> DataShape:
    values: dict[str, Any] = {
        "input_shape": EXAMPLES[kind],
        "classes": 3,
        "train_rows": 40,
        "val_rows": 20,
        "test_rows": 0,
        "labels": (0, 2),
        "kind": kind,
    }
    return DataShape(**values | changes)


def rows_of(kind: str, count: int = 40) -> Tensor:
    return torch.randn(count, *EXAMPLES[kind], generator=torch.Generator().manual_seed(0)) * 3


def defaults(entry: PreparerEntry) -> dict[str, Any]:
    return {h.name: h.default for h in entry.hyperparameters}


EVERY = [
    pytest.param(entry, kind, id=f"{name}-{kind}")
    for name, entry in catalog().preparers.items()
    for kind in entry.kinds
]


@pytest.mark.parametrize(("entry", "kind"), EVERY)
def test_each_of_the_catalogue_makes_what_its_entry_says(entry: PreparerEntry, kind: str) -> None:
    # `learned` itself refuses NaN, other batches, and what cannot be saved and loaded.
    _, outputs = learned(entry.name, defaults(entry), rows_of(kind), flagged=kind == "series")
    assert tuple(outputs.shape[1:]) == entry.shape(EXAMPLES[kind])
    first = entry.hyperparameters[0]
    assert first.name == entry.name
    assert first.default


@pytest.mark.parametrize(("entry", "kind"), EVERY)
def test_each_of_the_catalogue_can_be_searched_from_end_to_end(
    entry: PreparerEntry, kind: str
) -> None:
    for parameter in entry.hyperparameters:
        values: tuple[Any, ...]
        if isinstance(parameter, Choice):
            values = parameter.choices
        else:
            assert not isinstance(parameter, Fixed)
            values = parameter.low, parameter.high
        for value in filter(None, values):
            learned(entry.name, defaults(entry) | {parameter.name: value}, rows_of(kind),
                    flagged=False)  # fmt: skip


def test_clipped_numbers_stay_within_the_bound_and_flags_as_they_are() -> None:
    module, _ = learned("clip", {"clip": 2.0}, rows_of("table"), flagged=False)
    assert module(torch.tensor([[-9.0, -1.5, 0.0, 1.0]])).tolist() == [[-2.0, -1.5, 0.0, 1.0]]


def test_grey_images_are_as_bright_as_eyes_have_it() -> None:
    module, _ = learned("grayscale", {}, rows_of("image"), flagged=False)
    red, green, blue = (module(pixel.view(1, 3, 1, 1)).item() for pixel in torch.eye(3))
    assert (red, green, blue) == pytest.approx((0.299, 0.587, 0.114))
    with pytest.raises(PartRefused) as caught:
        build_preparer("grayscale", {}, torch.zeros(2, 1, 4, 4), flagged=False)
    assert str(caught.value) == (
        "grayscale cannot be built with no arguments: images have 3 channels, not 1"
    )


def test_an_example_standardised_by_itself_is_the_same_at_any_level_and_spread() -> None:
    module, _ = learned("instance_norm", {}, rows_of("series"), flagged=False)
    rows = rows_of("series", 5)
    torch.testing.assert_close(module(rows * 7 + 100), module(rows), rtol=1e-3, atol=1e-3)
    constant = module(torch.full((1, 3, 20), 5.0))
    assert constant.tolist() == torch.zeros(1, 3, 20).tolist()


def test_places_without_a_value_do_not_count_and_flags_stay() -> None:
    module = build_preparer("instance_norm", {}, torch.zeros(2, 2, 6), flagged=True)
    values, flags = [1.0, 3.0, 1.0, 3.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    (found,) = module(torch.tensor([[values, flags]]))
    assert found[0].tolist() == pytest.approx([-1, 1, -1, 1, 0, 0], abs=1e-4)
    assert found[1].tolist() == flags


@pytest.fixture
def table(digits: Dataset) -> Dataset:
    """Rows of four numbers and a code, of which the first two numbers tell the class."""
    generator = torch.Generator().manual_seed(1)

    def split(count: int, level: float) -> Any:
        numbers = torch.randn(count, 4, generator=generator) + level
        codes = torch.randint(0, 3, (count, 1), generator=generator)
        labels = (numbers[:, 0] + numbers[:, 1] > 2 * level).long()
        return replace(digits.train, inputs=torch.cat([numbers, codes], 1), labels=labels)

    shape = shape_of(
        "table", input_shape=(5,), classes=2, labels=(0, 1), categories=(3,), train_rows=300,
        val_rows=100, exchangeable=True,
    )  # fmt: skip
    # Validation rows lie elsewhere: whatever learns from them, too, shows.
    return replace(
        digits, shape=shape, train=split(300, 0.0), val=split(100, 5.0), test=None,
        preparation=RowPreparation(document={}),
    )  # fmt: skip


def centred(training: Training) -> dict[str, Tensor]:
    state = training.learner.model.state_dict()
    return {name: state[f"prepare.0.{name}"].clone() for name in ("mean", "spread")}


def test_it_learns_from_training_rows_alone_and_only_once(
    table: Dataset, make_recipe: MakeRecipe
) -> None:
    recipe = make_recipe(prepare=("ours:Centre",), config={"folds": 1}, epochs=2)
    training = Training.begin(recipe, table, "cpu")
    before = centred(training)
    torch.testing.assert_close(before["mean"], table.train.inputs[:, :4].mean(0))
    training.advance()
    training.advance()
    assert all(torch.equal(before[name], value) for name, value in centred(training).items())
    held = {id(p) for group in training.learner.optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in training.learner.model.parameters() if p.requires_grad}
    assert not any(module.training for module in training.learner.model.get_submodule("prepare"))


def test_each_member_of_a_committee_learns_from_its_own_rows(
    table: Dataset, make_recipe: MakeRecipe
) -> None:
    committee = begin(make_recipe(prepare=("ours:Centre",), config={"folds": 3}), table, "cpu")
    assert isinstance(committee, Committee)
    for member in committee.members:
        own = member.data.train.inputs[:, :4].mean(0)
        torch.testing.assert_close(centred(member)["mean"], own)
    first, second, _ = (centred(member)["mean"] for member in committee.members)
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(
    "config", [{"folds": 1}, {"folds": 2}, {"folds": 1, "averaging": "ema"},
               {"folds": 1, "averaging": "swa", "swa_start": 0.3}], ids=str
)  # fmt: skip
def test_interrupted_or_not_the_curve_is_the_same_and_the_network_taken_away_answers_alike(
    config: dict[str, Any], table: Dataset, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(prepare=("ours:Scale", "ours:Centre", "clip"), config=config, epochs=3)
    checkpoints = [epoch.checkpoint() for epoch in train(recipe, table)]
    whole = [metrics["val_loss"] for metrics in checkpoints[-1].curve]
    rest = [e.metrics["val_loss"] for e in train(recipe, table, resume=checkpoints[0])]
    assert rest == whole[1:]
    save_model(tmp_path / "model", checkpoints[-1])
    away = load_model(tmp_path / "model", ("ours",))
    rows = table.val.inputs[:7]
    with torch.inference_mode():
        torch.testing.assert_close(away(rows), rebuild(checkpoints[-1])(rows))
    assert describe_model(tmp_path / "model")["prepare"] == {
        "ours:Scale": {},
        "ours:Centre": {},
        "clip": {"clip": 3.0},
    }


def test_a_network_is_built_for_what_it_sees_and_exported_whole(
    digits: Dataset, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    coloured = replace(
        digits,
        shape=replace(digits.shape, input_shape=(3, 8, 8)),
        train=replace(digits.train, inputs=digits.train.inputs.expand(-1, 3, -1, -1)),
        val=replace(digits.val, inputs=digits.val.inputs.expand(-1, 3, -1, -1)),
        preparation=ImagePreparation(mean=torch.full((3, 1, 1), 4.9), std=torch.ones(3, 1, 1)),
    )
    plain, grey = make_recipe("convnet"), make_recipe("convnet", prepare=("grayscale",), epochs=1)
    seen = seen_shape(grey.prepare, {}, coloured.shape)
    layers = catalog().models["convnet"].layers(grey.config, seen)
    assert probe(grey, coloured)["parameters"] == sum(layer.parameters for layer in layers)
    assert probe(plain, coloured)["parameters"] > probe(grey, coloured)["parameters"]
    (epoch,) = train(grey, coloured)
    save_model(tmp_path / "model", epoch.checkpoint())
    program = torch.export.load(io.BytesIO(export_program(tmp_path / "model"))).module()
    images = coloured.val.inputs[:3].contiguous()
    away = load_model(tmp_path / "model")
    with torch.inference_mode():
        known = away(coloured.prepared(images)).softmax(1)
    torch.testing.assert_close(program(images), known, atol=1e-5, rtol=1e-5)


def test_what_is_off_is_not_there(table: Dataset, make_recipe: MakeRecipe) -> None:
    off = make_recipe(prepare=("ours:Centre", "clip"), config={"ours:Centre": False, "clip": 0.0})
    assert prepare_of(off, table.shape) == {}
    network = build_network("mlp", off.config, table.shape, {})
    assert not hasattr(network, "prepare")
    part = replace(off, config={**off.config, "clip": 2.5})
    assert prepare_of(part, table.shape) == {"clip": {"clip": 2.5}}


def test_a_preparer_of_others_may_change_the_shape_and_has_arguments(
    digits: Dataset, make_recipe: MakeRecipe
) -> None:
    recipe = make_recipe(prepare=("ours:Halve", "ours:Scale"), config={"power": 2.0}, epochs=4)
    *_, last = train(recipe, digits)
    assert last.metrics["val_accuracy"] > 0.8
    model = Training.begin(recipe, digits, "cpu").learner.model
    assert model.get_submodule("prepare")[1].power == 2.0  # type: ignore[index]
    largest = digits.prepared(digits.train.inputs)[:, :, ::2].abs().max()
    assert model.state_dict()["prepare.1.largest"] == largest**2


def test_rows_to_learn_from_are_bounded_and_spread(digits: Dataset) -> None:
    inputs = torch.arange(25_000).view(-1, 1, 1, 1).float().expand(-1, 1, 8, 8)
    many = replace(
        digits,
        train=replace(digits.train, inputs=inputs, labels=torch.zeros(25_000, dtype=torch.int64)),
        preparation=RowPreparation(document={}),
    )
    taken = rows_to_learn_from(many)[:, 0, 0, 0]
    assert len(taken) == MOST_ROWS
    assert (taken[0].item(), taken[1].item(), taken[-1].item()) == (0, 2, 24_997)


REFUSED = [
    ("ours:Nothing", "ours:Nothing answers NaN or infinity for training rows; give finite "
     "numbers."),
    ("ours:Twice", "ours:Twice made a batch of shape (2876, 1, 8, 8) of 1,438 examples; give one "
     "answer for each."),
    ("ours:Flat", "ours:Flat made examples of shape (64,) of such of shape (1, 8, 8); keep the "
     "number of dimensions."),
    ("ours:Double", "ours:Double gave torch.float64 for torch.float32; keep the type."),
    ("ours:Pair", "ours:Pair gave a tuple; a preparation gives a tensor."),
    ("ours:InPlace", "ours:InPlace writes to the rows it is given; give others."),
    ("ours:OfBatch", "ours:OfBatch answers the same rows otherwise in a smaller batch, or at "
     "random; let each answer follow from its row, and learn what is common in fit."),
    ("ours:Forgets", "ours:Forgets answers otherwise once its state was saved and loaded; keep "
     "what fit learns in buffers: register_buffer in __init__, copy_ in fit."),
    ("ours:Grows", "ours:Grows cannot load its own state: Error(s) in loading state_dict for "
     'Grows: Unexpected key(s) in state_dict: "mean". Register all buffers in __init__, in their '
     "size; fit fills them."),
    ("ours:Shrinks", "ours:Shrinks makes examples of shape (1, 8, 3), but before it has learned of "
     "shape (1, 8, 7); let the shape follow from the constructor."),
    ("ours:Raises", "ours:Raises: its fit raised ValueError: too few rows"),
    ("ours:Strict", "ours:Strict cannot be built with no arguments: gain is at most 1"),
    ("ours:function", "ours:function is no subclass of torch.nn.Module; name one."),
    ("ours:Scal", "ours:Scal: module ours has no 'Scal'; did you mean 'Scale'?"),
    ("nowhere:Scale", "nowhere:Scale: No module named 'nowhere'; install it into the Python that "
     "runs the workers."),
]  # fmt: skip


@pytest.mark.parametrize(("path", "message"), REFUSED, ids=[path for path, _ in REFUSED])
def test_what_is_not_there_or_no_preparer_is_refused_by_the_probe(
    path: str, message: str, digits: Dataset, make_recipe: MakeRecipe
) -> None:
    with pytest.raises(PartRefused) as caught:
        probe(make_recipe(prepare=(path,)), digits)
    assert str(caught.value) == message


def test_an_argument_that_none_takes_is_refused_by_the_probe(
    digits: Dataset, make_recipe: MakeRecipe
) -> None:
    with pytest.raises(PartRefused, match="No part has an argument 'pow': ours:Scale takes "):
        probe(make_recipe(prepare=("ours:Scale",), config={"pow": 2.0}), digits)


def test_code_of_others_is_imported_with_a_network_only_where_it_is_allowed(
    digits: Dataset, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    (epoch,) = train(make_recipe(prepare=("ours:Scale",), epochs=1), digits)
    save_model(tmp_path / "model", epoch.checkpoint())
    sys.modules.pop("ours")
    with pytest.raises(PartRefused) as caught:
        load_model(tmp_path / "model")
    assert str(caught.value) == (
        "ours:Scale stands in front of this network, and its code may not be imported here: add "
        "ours to TUNER_ALLOWED_CODE."
    )
    assert "ours" not in sys.modules
    assert isinstance(load_model(tmp_path / "model", ("ours",)), nn.Module)


def test_the_recipe_is_the_same_after_its_way_through_json(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(prepare=("clip", "instance_norm"))
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    document = recipe.to_json()
    del document["prepare"]
    assert Recipe.from_json(document).prepare == ()


def test_a_table_keeps_its_categories_whatever_is_made_of_its_numbers() -> None:
    shape = shape_of("table", input_shape=(7,), categories=(3, 40))
    assert numbers_of(shape) == (5,)
    assert seen_shape(("clip",), {}, shape) == shape
