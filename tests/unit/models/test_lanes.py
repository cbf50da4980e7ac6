"""A training in a lane is the training it would be alone, whatever goes on beside it."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.data.loading import Dataset, Split
from models.data.preparation import Preparation
from models.entries import catalog
from models.hyperparameters import Choice
from models.networks.mlp import MLP
from models.recipe import Recipe
from models.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from models.training.entry import training_hyperparameters
from models.training.lanes.description import described
from models.training.lanes.lanes import LaneRefused, Lanes
from models.training.lanes.signature import OPTIMIZERS, reason, signature
from models.training.train import Diverged, Epoch, Training, train
from tests.unit.models.conftest import first

MakeRecipe = Callable[..., Recipe]
AsKind = Callable[[str, Dataset], Dataset]
MODELS = sorted(catalog().models)
RATES = ("dropout", "attention_dropout", "residual_dropout", "stochastic_depth")
CLOCK = {"seconds", "samples_per_second"}
#: What lanes may differ in, one of each lane.
OWN: dict[str, tuple[Any, ...]] = {
    "lr": (1e-3, 3e-3),
    "schedule": ("cosine", "plateau"),
    "warmup": (0.0, 0.3),
    "clip_norm": (0.0, 0.5),
    "weight_decay": (0.0, 1e-2),
    "momentum": (0.0, 0.9),
    "nesterov": (True, False),
    "alpha": (0.9, 0.99),
    "beta1": (0.9, 0.8),
    "label_smoothing": (0.1, 0.0),
    "gamma": (1.0, 3.0),
    "delta": (0.3, 1.0),
    "margin": (0.5, 2.0),
    **dict.fromkeys(RATES, (0.1, 0.3)),
}


AUGMENTATIONS = sorted(catalog().augmentations)
MIXABLE = sorted(name for name, entry in catalog().losses.items() if entry.mixed_labels)
#: All at once, but of those that mix the last.
OF_IMAGES = [
    name
    for name in AUGMENTATIONS
    if "image" in catalog().augmentations[name].kinds and name != "cutmix"
]


def strengths_of(augmentation: str) -> tuple[Any, Any]:
    """Two that a program serves at once."""
    strength = catalog().augmentations[augmentation].strength
    return (
        (strength.default, True)
        if isinstance(strength, Choice)
        else (strength.low + strength.step, strength.high)
    )


@dataclass(frozen=True, slots=True)
class InDouble:
    """A preparation whose numbers are of double precision."""

    inner: Preparation
    unit: float = 1.0
    zero: float = 0.0

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        inputs = self.inner(rows)
        return inputs.double() if inputs.is_floating_point() else inputs

    def to(self, device: str) -> "InDouble":
        return self

    def in_own_unit(self) -> "InDouble":
        return self

    def to_json(self) -> dict[str, Any]:
        return self.inner.to_json()


def in_double(data: Dataset) -> Dataset:
    def doubled(split: Split) -> Split:
        labels = split.labels
        return replace(split, labels=labels.double() if labels.is_floating_point() else labels)

    return replace(
        data,
        train=doubled(data.train),
        val=doubled(data.val),
        preparation=InDouble(data.preparation),
    )


@pytest.fixture
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def few(data: Dataset) -> Dataset:
    """Three steps of 32 rows, or six of 16, and a validation in more than one part."""
    return replace(data, train=first(data.train, 100), val=first(data.val, 70))


def two(make_recipe: MakeRecipe, model: str = "mlp", **changes: Any) -> list[Recipe]:
    """Two recipes that differ in all that lanes may differ in."""
    config = changes.pop("config", {})
    return [
        make_recipe(
            model,
            seed=seed,
            config={"folds": 1, **{name: values[seed] for name, values in OWN.items()}, **config},
            **changes,
        )
        for seed in range(2)
    ]


Curve = list[Mapping[str, float]]


def alone(recipe: Recipe, data: Dataset, resume: Checkpoint | None = None) -> Checkpoint:
    """As it ends; the curve is in it."""
    *_, checkpoint = (epoch.checkpoint() for epoch in train(recipe, data, resume=resume))
    return checkpoint


def in_lanes(lanes: Lanes, *, epochs: int = 3) -> dict[int, Checkpoint]:
    """All lanes' trainings after so many epochs."""
    found: dict[int, Checkpoint] = {}
    for _ in range(epochs):
        for lane, epoch in lanes.advance().items():
            assert isinstance(epoch, Epoch), epoch
            found[lane] = epoch.checkpoint()
    return found


def without_clock(checkpoint: Checkpoint) -> list[dict[str, float]]:
    return [{k: v for k, v in each.items() if k not in CLOCK} for each in checkpoint.curve]


def assert_same(mine: Checkpoint, theirs: Checkpoint, tolerance: float) -> None:
    """The same curve, and weights, memory and random numbers from which both go on alike."""
    for ours, others in zip(without_clock(mine), without_clock(theirs), strict=True):
        assert ours == pytest.approx(others, rel=tolerance, abs=tolerance)
    assert (mine.epoch, mine.step) == (theirs.epoch, theirs.step)
    assert mine.tensors.keys() == theirs.tensors.keys()
    for name, tensor in mine.tensors.items():
        other = theirs.tensors[name]
        assert tensor.shape == other.shape, name
        # How torch counts steps follows the default type, which is another in tests alone.
        assert tensor.dtype == other.dtype or name.endswith(".step"), name
        if name.startswith("random"):
            assert torch.equal(tensor, other), name
        else:
            # Of a bias under batch normalisation the gradient is rounding alone, divided by 1e-8.
            torch.testing.assert_close(
                tensor, other.to(tensor.dtype), rtol=tolerance, atol=100 * tolerance, msg=name
            )


def assert_as_alone(recipes: Sequence[Recipe], data: Dataset, tolerance: float) -> None:
    lanes = Lanes(recipes[0], data, capacity=3)
    for lane, recipe in enumerate(recipes, start=1):
        lanes.admit(lane, recipe)
    for lane, checkpoint in in_lanes(lanes).items():
        assert_same(checkpoint, alone(recipes[lane - 1], data), tolerance)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("model", "optimizer"), list(itertools.product(MODELS, OPTIMIZERS)))
def test_a_trial_in_a_lane_is_the_trial_alone(
    model: str, optimizer: str, make_recipe: MakeRecipe, as_kind: AsKind, digits: Dataset
) -> None:
    data = in_double(as_kind(model, few(digits)))
    assert_as_alone(two(make_recipe, model, optimizer=optimizer), data, 1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_in_single_precision_it_is_so_to_rounding(
    optimizer: str, make_recipe: MakeRecipe, digits: Dataset
) -> None:
    # Under batch normalisation the gradient of a bias is rounding alone, which Adam makes long.
    recipes = two(make_recipe, optimizer=optimizer, config={"normalisation": "layer"})
    assert_as_alone(recipes, few(digits), 1e-4)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("loss", sorted(catalog().losses))
def test_every_loss_is_that_of_the_trial_alone(
    loss: str, make_recipe: MakeRecipe, request: pytest.FixtureRequest
) -> None:
    numbers = catalog().losses[loss].takes == "numbers"
    fixture = {"bce": "odd_or_even", "poisson": "ink_counts"}.get(loss, "ink" if numbers else "")
    data = in_double(few(request.getfixturevalue(fixture or "digits")))
    config = {
        "balance": "none" if numbers else "sampling",
        **dict.fromkeys(RATES, 0.0),
    }
    assert_as_alone(two(make_recipe, loss=loss, epochs=2, config=config), data, 1e-9)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_examples_are_altered_in_a_lane_as_alone(
    name: str, make_recipe: MakeRecipe, as_kind: AsKind, digits: Dataset
) -> None:
    entry = catalog().augmentations[name]
    model = "mlp" if "image" in entry.kinds else "tcn"
    data = in_double(as_kind(model, few(digits)))
    recipes = [
        replace(recipe, config={**recipe.config, name: strength})
        for recipe, strength in zip(two(make_recipe, model), strengths_of(name), strict=True)
    ]
    assert_as_alone(recipes, data, 1e-9)
    plain = alone(two(make_recipe, model)[1], data)
    assert without_clock(plain) != without_clock(alone(recipes[1], data)), "it does something"


@pytest.mark.usefixtures("double")
def test_examples_are_altered_by_all_that_is_on(make_recipe: MakeRecipe, digits: Dataset) -> None:
    data = in_double(few(digits))
    recipes = [
        replace(recipe, config={**recipe.config, **on})
        for recipe, on in zip(
            two(make_recipe, "convnet"),
            [{name: strengths_of(name)[lane] for name in OF_IMAGES} for lane in range(2)],
            strict=True,
        )
    ]
    assert_as_alone(recipes, data, 1e-9)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("balance", ["none", "weights"])
@pytest.mark.parametrize("loss", MIXABLE)
def test_every_loss_of_mixed_examples_is_that_of_the_trial_alone(
    loss: str, balance: str, make_recipe: MakeRecipe, digits: Dataset, odd_or_even: Dataset
) -> None:
    data = in_double(few(odd_or_even if loss == "bce" else digits))
    config = {"mixup": 0.4, "balance": balance}
    assert_as_alone(two(make_recipe, loss=loss, epochs=2, config=config), data, 1e-9)


def test_strengths_within_their_range_share_a_program_and_others_do_not(
    make_recipe: MakeRecipe, digits: Dataset
) -> None:
    def of(**config: Any) -> str:
        return signature(make_recipe(config=config), digits.shape)

    assert of(shift=0.05) == of(shift=0.1) != of(shift=0.0) == of()
    assert of(shift=0.1) != of(shift=0.3) != of(shift=0.45)
    assert of(flip=True) != of(flip=False) == of()
    lanes = Lanes(make_recipe(config={"shift": 0.1}), few(digits), capacity=2)
    for another in ({"shift": 0.3}, {"cutout": 0.25}, {}):
        with pytest.raises(LaneRefused, match="another program"):
            lanes.admit(0, make_recipe(config=another))


@pytest.mark.parametrize("loss", ["bce", "cross_entropy", "focal", "multi_margin"])
def test_classes_have_their_weights_in_a_lane(
    loss: str, make_recipe: MakeRecipe, digits: Dataset, odd_or_even: Dataset
) -> None:
    data = few(odd_or_even if loss == "bce" else digits)
    config = {"balance": "weights", "normalisation": "layer"}
    assert_as_alone(two(make_recipe, loss=loss, config=config), data, 1e-4)


def test_whatever_enters_leaves_or_diverges_changes_no_bit_of_another(
    make_recipe: MakeRecipe, digits: Dataset
) -> None:
    data, recipes = few(digits), two(make_recipe)
    wild = replace(recipes[0], config={**recipes[0].config, "lr": 1e30}, seed=2)

    def undisturbed() -> dict[int, Checkpoint]:
        lanes = Lanes(recipes[0], data, capacity=4)
        lanes.admit(1, recipes[0])
        return in_lanes(lanes)

    lanes = Lanes(recipes[0], data, capacity=4)
    lanes.admit(1, recipes[0])
    lanes.admit(2, recipes[1])
    lanes.admit(3, wild)
    found = lanes.advance()
    assert isinstance(found[3], Diverged)
    assert lanes.free == [0, 3]
    lanes.evict(2)
    lanes.admit(0, wild)
    lanes.advance()
    lanes.admit(2, replace(recipes[1], seed=9))
    last = lanes.advance()[1]
    assert isinstance(last, Epoch)
    mine, theirs = last.checkpoint(), undisturbed()[1]
    assert without_clock(mine) == without_clock(theirs)
    assert all(torch.equal(mine.tensors[name], theirs.tensors[name]) for name in theirs.tensors)


def test_a_lane_diverges_as_its_trial_alone_would(make_recipe: MakeRecipe, digits: Dataset) -> None:
    recipe = make_recipe(config={"lr": 1e30, "folds": 1}, optimizer="sgd")
    with pytest.raises(Diverged) as raised:
        alone(recipe, few(digits))
    lanes = Lanes(recipe, few(digits), capacity=2)
    lanes.admit(0, recipe)
    assert str(lanes.advance()[0]) == str(raised.value)
    assert lanes.advance() == {}


@pytest.mark.usefixtures("double")
def test_a_checkpoint_goes_on_in_any_lane_or_alone(
    make_recipe: MakeRecipe, digits: Dataset, tmp_path: Path
) -> None:
    data, (recipe, other) = in_double(few(digits)), two(make_recipe)
    begun = Lanes(recipe, data, capacity=8)
    begun.admit(3, recipe)
    begun.admit(4, other)
    save_checkpoint(tmp_path / "checkpoint", in_lanes(begun, epochs=2)[3])
    checkpoint = load_checkpoint(tmp_path / "checkpoint")
    whole = alone(recipe, data)
    assert_same(alone(recipe, data, resume=checkpoint), whole, 1e-9)
    many = Lanes(other, data, capacity=64)
    many.admit(0, recipe, resume=checkpoint)
    assert_same(in_lanes(many)[0], whole, 1e-9)
    assert many.advance() == {}
    half = next(iter(train(recipe, data))).checkpoint()
    begun.evict(3)
    begun.admit(3, recipe, resume=half)
    assert_same(in_lanes(begun, epochs=2)[3], whole, 1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_trials_have_one_signature_where_one_program_computes_them(
    model: str, make_recipe: MakeRecipe, as_kind: AsKind, digits: Dataset
) -> None:
    data, base = as_kind(model, few(digits)), two(make_recipe, model)[0]
    hyperparameters = (
        *catalog().models[model].hyperparameters(data.shape),
        *catalog().losses["cross_entropy"].hyperparameters,
        *catalog().optimizers["adamw"].hyperparameters,
        *training_hyperparameters(data.shape, 3),
    )

    def program_of(recipe: Recipe) -> Any:
        return described(Training.begin(recipe, data, "cpu"))

    mine = program_of(base)
    for each in hyperparameters:
        choices = getattr(each, "choices", None) or [getattr(each, "low", each.default)]
        for value in choices:
            recipe = replace(base, config={**base.config, each.name: value})
            if reason(recipe, data.shape) is None:
                same = signature(recipe, data.shape) == signature(base, data.shape)
                assert same == (program_of(recipe) == mine), (each.name, value)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"optimizer": "muon"},
            "The optimizer muon trains alone; lanes know sgd, adam, adamw and rmsprop.",
        ),
        ({"loss": "nets:loss"}, "The loss nets:loss is by import path, and trains alone."),
        (
            {"prepare": ("nets:Blur",)},
            "nets:Blur prepares by import path; what others wrote trains alone.",
        ),
        (
            {"config": {"mixup": 0.2, "cutmix": 1.0}},
            "Examples are mixed by mixup or cutmix, as chance has it; that is done alone.",
        ),
        (
            {"config": {"nets:Blur": 0.5}},
            "nets:Blur alters examples by import path; what others wrote trains alone.",
        ),
        (
            {"config": {"averaging": "ema"}},
            "averaging = 'ema': a trial that averages its weights trains alone.",
        ),
        (
            {"config": {"accumulation": 2}},
            "accumulation = 2: a trial that learns from its batches in parts trains alone.",
        ),
        (
            {"config": {"folds": 5}},
            "folds = 5: a trial that has a network for each fold trains alone.",
        ),
        (
            {"config": {"precision": "bfloat16"}},
            "precision = 'bfloat16' on cpu: in lanes it must be float32.",
        ),
    ],
)
def test_what_trains_alone_says_why(
    changes: dict[str, Any], why: str, make_recipe: MakeRecipe, digits: Dataset
) -> None:
    recipe = make_recipe(**changes)
    assert reason(recipe, digits.shape) == why
    with pytest.raises(LaneRefused, match=why[:20]):
        Lanes(recipe, digits, capacity=2)


def test_on_a_gpu_lanes_want_full_precision(make_recipe: MakeRecipe, digits: Dataset) -> None:
    assert reason(make_recipe(), digits.shape, device="cuda") == (
        "precision = 'auto' on cuda: in lanes it must be float32."
    )


def test_a_network_that_looks_at_its_numbers_trains_alone(
    make_recipe: MakeRecipe, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looks(self: MLP, x: torch.Tensor) -> torch.Tensor:
        hidden = self.hidden(self.embed(x.flatten(1)))
        logits: torch.Tensor = self.head(hidden if hidden.sum() > 0 else -hidden)
        return logits

    monkeypatch.setattr(MLP, "forward", looks)
    with pytest.raises(LaneRefused, match=r"^mlp trains alone: as one program it raises Runtime"):
        Lanes(make_recipe(), few(digits), capacity=2)


def test_a_trial_of_another_program_is_refused(make_recipe: MakeRecipe, digits: Dataset) -> None:
    lanes = Lanes(make_recipe(), few(digits), capacity=2)
    with pytest.raises(LaneRefused, match=r"^A mlp with \{.*'width': 7.*\} is another program"):
        lanes.admit(0, make_recipe(config={"width": 7}))
    assert lanes.free == [0, 1]
